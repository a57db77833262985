"""A pretrained encoder with numbers beside its texts, on tiny checkpoints that are written here."""

import shutil

import pandas
import pytest
import torch

import dropsmith as ds
from dropsmith.models import PretrainedMixed
from dropsmith.tasks import DataOptions, find_task, with_model
from run_folder.finished import finished_run

OPTIONS = DataOptions(text_columns=("review",), feature_columns=("age", "city"))


@pytest.fixture
def table(tmp_path):
    rows = range(80)
    frame = pandas.DataFrame(
        {
            "review": [f"the film is {'so ' * (i % 15)}{('good', 'bad')[i % 2]} ." for i in rows],
            "age": [20 + i for i in rows],
            "city": [("Oslo", "Rome")[i % 2] for i in rows],
            "label": [("a", "b", "c")[i % 3] for i in rows],
        }
    )
    frame.to_csv(tmp_path / "films.csv", index=False)
    return tmp_path / "films.csv"


def test_tokens_and_numbers_are_those_of_one_row_and_a_folder_predicts_without_the_checkpoint(
    checkpoint, table, tmp_path
):
    run, setup = finished_run(str(table), model=str(checkpoint), data_options=OPTIONS)
    assert isinstance(run.model, PretrainedMixed)
    assert {"input_ids", "attention_mask", "features", "labels"} <= set(run.data.train.columns)
    run.write(tmp_path / "run")
    rows = [
        {"review": "a good film", "age": 30, "city": "Rome"},
        {"review": "so", "age": "", "city": ""},
    ]
    columns = run.data.preprocessing.inputs(rows).part.columns
    with torch.no_grad():
        expected = run.model.eval()(**columns).softmax(-1)
    shutil.rmtree(checkpoint)
    table.unlink()
    predictor = ds.load(tmp_path / "run")
    torch.testing.assert_close(predictor.predict(rows, samples=0).mean, expected)
    assert (predictor.predict(rows, samples=6).mutual_information > 0).all()
    assert setup.model == str(checkpoint)


@pytest.mark.parametrize("noise", ["dropout", "gaussian", "locked", "words"])
def test_noise_of_the_encoder_and_of_the_joint_layer_is_installed(checkpoint, table, noise):
    task = find_task(str(table), data_options=OPTIONS)
    tuned = with_model(task, str(checkpoint), task.load())
    data = tuned.load()
    batch = data.train.rows(slice(0, 4))
    batch.pop("labels")
    model = tuned.model(data)
    plan = tuned.plan(noise, 0.4)
    if "bert" in str(checkpoint) or noise in ("dropout", "gaussian"):
        assert (ds.predict(model, batch, 20, plan=plan).mutual_information > 0).any()
    assert any(rule.selector.name == "joint.input" for rule in plan.rules) == (
        noise in ("dropout", "gaussian")
    )
    assert (
        tuned.upper
        == "net." + ("bert" if checkpoint.name == "bert" else "roberta") + (".encoder.layer.0")
        or tuned.upper is None
    )
