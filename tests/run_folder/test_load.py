"""A run's folder gives the model that was in memory, wherever it lies and without its data."""

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import DataError, DropsmithError, PlanError, TaskError
from dropsmith.passes import logits_of
from dropsmith.run_folder import WEIGHTS, RunDescription, is_run
from run_folder.finished import finished_run


def rows_of(table):
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def one_pass(model, part, rows=64):
    """The oracle: the model's own forward over the part's own columns, batch by batch."""
    outputs = []
    for batch in part.batches(rows):
        columns = {name: c for name, c in batch.columns.items() if name != "labels"}
        with torch.no_grad():
            outputs.append(logits_of(model.eval()(**columns)))
    return torch.cat(outputs)


def rows_of_part(run, table, part):
    """The rows of a table whose tokens are those of a part, in the part's order."""
    steps, columns = run.data.preprocessing, getattr(run.data, part).columns
    names = [name for name in columns if name != "labels"]
    by_tokens = {}
    for row in rows_of(table):
        tensors = steps.inputs([row]).part.columns
        by_tokens[tuple(tuple(_words(tensors[name][0])) for name in names)] = row
    count = len(columns[names[0]])
    return [by_tokens[tuple(tuple(_words(columns[n][i])) for n in names)] for i in range(count)]


def _words(tokens):
    return tokens[tokens != 0].tolist()


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


@pytest.fixture
def moved(tmp_path):
    """Copies a run's folder elsewhere, under another name."""
    return lambda folder: shutil.copytree(folder, tmp_path / "another name é")


def test_the_probabilities_of_the_test_rows_are_those_of_the_model_in_memory(
    texts, moved, tmp_path
):
    run, folder, table = texts
    new = write_rows(tmp_path / "new.csv", rows_of_part(run, table, "test"))
    predictor = ds.load(moved(folder))
    expected = one_pass(run.model, run.data.test).softmax(-1)
    assert len(expected) > 5
    found = predictor.predict(new, samples=0)
    assert torch.equal(found.mean, expected)
    assert predictor.names == run.data.names == ("bright", "dark", "even")
    assert found.classes == predictor.names
    labels = [run.data.names[i] for i in run.data.test.columns["labels"].tolist()]
    assert [row["label"] for row in rows_of(new)] == labels


def test_the_mean_of_samples_is_that_of_the_model_in_memory_with_the_same_masks(texts, moved):
    run, folder, table = texts
    rows = rows_of_part(run, table, "test")
    found = ds.load(moved(folder)).predict(rows, samples=9, seed=4)
    batch = {"tokens": run.data.test.rows(slice(0, len(rows)))["tokens"]}
    expected = ds.predict(run.model, batch, 9, plan=run.plan, seed=4)
    assert torch.allclose(found.mean, expected.mean, atol=1e-6)
    assert torch.allclose(found.mutual_information, expected.mutual_information, atol=1e-6)
    assert (found.mutual_information > 0).all()


def test_values_are_in_the_unit_of_the_data(values, moved):
    run, folder, table = values
    rows = rows_of_part(run, table, "test")
    predictor = ds.load(moved(folder))
    scores = one_pass(run.model, run.data.test)
    train = [float(row["score"]) for row in rows_of_part(run, table, "train")]
    mean = sum(train) / len(train)
    unit = (sum((x - mean) ** 2 for x in train) / len(train)) ** 0.5
    found = predictor.predict(rows, samples=0)
    torch.testing.assert_close(found.mean, scores * unit + mean, rtol=1e-5, atol=1e-5)
    noisy = predictor.predict(rows, samples=8)
    batch = {k: v for k, v in run.data.test.rows(slice(0, 64)).items() if k != "labels"}
    expected = ds.predict(run.model, batch, 8, plan=run.plan, kind="regression")
    torch.testing.assert_close(noisy.variance.sqrt(), expected.variance.sqrt() * unit)
    judged = predictor.scores(found, predictor.read(rows))
    errors = [p - float(r["score"]) for p, r in zip(found.mean[:, 0].tolist(), rows, strict=True)]
    assert judged["rmse"] == pytest.approx((sum(e * e for e in errors) / len(errors)) ** 0.5)
    assert judged["mae"] == pytest.approx(sum(map(abs, errors)) / len(errors))
    assert judged["rows"] == len(rows)


def test_scores_are_those_of_a_count_by_hand(texts):
    _, folder, table = texts
    predictor, rows = ds.load(folder), rows_of(table)[:40]
    rows[3]["label"] = ""
    inputs = predictor.read(rows)
    found = predictor.predict(rows, samples=0)
    judged = predictor.scores(found, inputs)
    frame = found.to_frame().assign(label=[row["label"] for row in rows])
    known = frame[frame["label"] != ""]
    assert judged["rows"] == len(known) == 39
    assert judged["accuracy"] == pytest.approx((known["prediction"] == known["label"]).mean())
    own = [row[f"probability_{row['label']}"] for _, row in known.iterrows()]
    assert judged["nll"] == pytest.approx(-torch.tensor(own).log().mean().item(), rel=1e-5)
    unlabelled = [{"text": row["text"]} for row in rows]
    assert predictor.scores(found, predictor.read(unlabelled)) == {}


def test_tensors_are_predicted_where_a_task_has_no_files(digits):
    run, folder = digits
    predictor = ds.load(folder)
    images = run.data.test.columns["image"][:10]
    expected = run.model.eval()(images).softmax(-1)
    for given in (images, {"image": images}):
        torch.testing.assert_close(predictor.predict(given, samples=0).mean, expected)
    assert predictor.predict(images, 5).names == tuple(map(str, range(1, 11)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (lambda x: {"pixels": x}, "takes the inputs image; given were pixels"),
        (lambda x: x[:, 0], "image is a tensor of rows × 1 × 8 × 8"),
        (lambda x: x[:, :, :5], r"of shape \(1, 8, 8\), got \(1, 5, 8\)"),
        (lambda x: x.long(), "is of dtype torch.float32, got torch.int64"),
        (lambda x: x[:0], "nothing to predict"),
        (lambda x: {"image": [1]}, "image is a tensor"),
        (lambda x: [{"image": 1}], "cannot predict rows"),
        (lambda x: "digits.csv", "cannot predict a file"),
    ],
)
def test_what_the_model_does_not_take_is_refused_in_a_sentence(digits, given, said):
    run, folder = digits
    predictor = ds.load(folder)
    with pytest.raises(DataError, match=said):
        predictor.predict(given(run.data.test.columns["image"][:4]))


@pytest.mark.parametrize("rows", ["", [], [1], 3, None, b"x", [{"texts": "a"}], {"text": "a"}])
def test_what_is_no_rows_is_refused_in_a_sentence(texts, rows):
    with pytest.raises(DropsmithError):
        ds.load(texts[1]).predict(rows)


@pytest.mark.parametrize("samples", [1, -1, 2.5, True, "9"])
def test_a_number_of_samples_that_shows_nothing_is_refused(texts, samples):
    with pytest.raises(TaskError, match="sample"):
        ds.load(texts[1]).predict([{"text": "a"}], samples)


def test_frames_are_rows(texts):
    import pandas

    predictor = ds.load(texts[1])
    rows = [{"text": "good film"}, {"text": "so bad"}]
    expected = predictor.predict(rows, samples=0).mean
    assert torch.equal(predictor.predict(pandas.DataFrame(rows), samples=0).mean, expected)


def test_a_prediction_in_batches_is_that_of_all_rows_but_for_the_masks(texts):
    _, folder, table = texts
    predictor, rows = ds.load(folder), rows_of(table)
    whole = predictor.predict(rows, samples=0)
    batches = predictor.predict(rows, samples=0, batch_size=7)
    torch.testing.assert_close(batches.mean, whole.mean)
    assert batches.names == whole.names


def test_a_model_without_noise_makes_one_pass_and_knows_no_mutual_information(tmp_path):
    run, _ = finished_run("digits", plan=ds.Plan())
    run.write(tmp_path)
    images = run.data.test.columns["image"][:3]
    found = ds.load(tmp_path).predict(images, samples=20)
    assert found.samples == 1
    assert found.mutual_information is None
    assert found.expected_entropy is None
    assert found.variance.isnan().all()
    assert found.to_table()["mutual_information"] == [None] * 3
    torch.testing.assert_close(found.mean, run.model(images).softmax(-1))


def test_rates_on_a_schedule_are_those_of_the_last_step(tmp_path):
    from dropsmith.patterns import LateRate

    rate = LateRate(rate=0.5, steps=100)
    plan = ds.Plan(ds.rule("head.input", ds.Bernoulli(rate=rate)))
    run, _ = finished_run("digits", plan=plan)
    images = run.data.test.columns["image"][:3]
    replace(run, noise_step=50).write(tmp_path / "early")
    replace(run, noise_step=150).write(tmp_path / "late")
    assert ds.load(tmp_path / "early").predict(images, 6).samples == 1
    late = ds.load(tmp_path / "late").predict(images, 6)
    with plan.installed(run.model, images):
        ds.step(run.model, 150)
        expected = ds.predict(run.model, images, 6)
    assert late.samples == 6
    torch.testing.assert_close(late.mean, expected.mean)


@pytest.mark.slow
def test_a_fresh_process_loads_it_from_a_folder_that_was_moved(texts, moved, tmp_path):
    run, folder, table = texts
    rows = rows_of_part(run, table, "test")[:4]
    place = moved(folder)
    code = (
        "import json, sys, dropsmith as ds\n"
        "p = ds.load(sys.argv[1])\n"
        "print(json.dumps(p.predict(json.loads(sys.argv[2]), samples=0).mean.tolist()))"
    )
    words = [sys.executable, "-c", code, str(place), json.dumps(rows)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    expected = one_pass(run.model, run.data.test).softmax(-1)[:4]
    torch.testing.assert_close(torch.tensor(json.loads(done.stdout)), expected)


def test_a_run_is_known_by_its_folder_or_by_the_record_beside_it(texts, tmp_path):
    run, folder, _ = texts
    shutil.copytree(folder, tmp_path / run.record.id)
    record = run.record.save(tmp_path)
    assert is_run(record)
    assert is_run(tmp_path / run.record.id)
    assert not is_run(tmp_path)
    assert not is_run(tmp_path / "nothing")
    assert ds.load(str(record)).record == run.record
    with pytest.raises(DataError, match=f"the runs in there: .*{run.record.id}"):
        ds.load(tmp_path)
    with pytest.raises(DataError, match="there is no folder"):
        ds.load(tmp_path / "nothing")


def test_a_folder_with_weights_alone_says_how_to_complete_it(texts, tmp_path):
    shutil.copy(texts[1] / WEIGHTS, tmp_path)
    assert is_run(tmp_path)
    with pytest.raises(DataError, match=r"an earlier version.*\n.*--again"):
        ds.load(tmp_path)


@pytest.mark.parametrize("name", ["record.json", "plan.json", WEIGHTS, "config.json"])
def test_a_file_that_is_missing_is_named(texts, tmp_path, name):
    folder = shutil.copytree(texts[1], tmp_path / "run")
    (folder / name).unlink()
    with pytest.raises(DropsmithError, match=r"earlier version|cannot read|no file"):
        ds.load(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "it is of version 2, read here is 1"),
        ({"format": "dropsmith.plan"}, "not the folder of a finished run|an earlier version"),
        ({"names": "ab"}, "field names"),
        ({"unit": 0.0}, "field unit"),
        ({"unit": float("inf")}, "field unit"),
        ({"noise_step": -1}, "field noise_step"),
        ({"kind": "ranking"}, "field kind"),
        ({"code": "import os"}, "field code is unknown"),
        ({"model": {"source": "pickle"}}, "field model"),
        ({"record": "0123456789ab"}, "files of two runs are in one folder"),
    ],
)
def test_a_description_that_was_changed_is_refused_by_its_field(texts, tmp_path, change, said):
    folder = shutil.copytree(texts[1], tmp_path / "run")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=said):
        ds.load(folder)


def test_weights_of_another_shape_are_refused_before_memory_is_taken(texts, tmp_path):
    folder = shutil.copytree(texts[1], tmp_path / "run")
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["model"]["description"]["arguments"]["words"] = 2**31
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="are of another model"):
        ds.load(folder)


def test_a_description_comes_back_equal(texts, digits):
    for run in (texts[0], digits[0]):
        again = RunDescription.from_json(json.loads(json.dumps(run.description.to_json())))
        assert again == run.description


NET = """
from torch import nn

def net(data):
    shape = next(iter(data.train.columns.values())).shape[1:]
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(shape.numel(), data.classes))

def other(data):
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(7, 7))

def failing(data):
    raise KeyError("x")
"""


@pytest.fixture
def own_model(tmp_path, monkeypatch):
    """A run of a model of the user's own, and the module that makes it."""
    (tmp_path / "own_net_here.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    run, _ = finished_run("digits", model="own_net_here:net", plan=ds.Plan())
    run.write(tmp_path / "run")
    import own_net_here  # pyright: ignore[reportMissingImports]

    yield run, tmp_path / "run", own_net_here
    sys.modules.pop("own_net_here")


def test_a_model_of_ones_own_is_made_by_the_function_or_module_that_is_given(own_model):
    run, folder, module = own_model
    images = next(iter(run.data.test.columns.values()))[:5]
    expected = run.model.eval()(images).softmax(-1)
    with pytest.raises(TaskError, match=r"own_net_here:net.*\n.*model=FUNCTION.*--model own_net"):
        ds.load(folder)
    bare = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 10))
    for given in (module.net, bare):
        predictor = ds.load(folder, model=given)
        torch.testing.assert_close(predictor.predict(images, samples=0).mean, expected)
        # Its own dropout is noise, too.
        assert (predictor.predict(images, 9).mutual_information > 0).all()
    with pytest.raises(DataError, match="another model"):
        ds.load(folder, model=module.other)
    with pytest.raises(TaskError, match="failing failed: KeyError"):
        ds.load(folder, model=module.failing)


def test_a_model_of_ours_from_a_function_needs_no_function(tmp_path, monkeypatch):
    (tmp_path / "wider_here.py").write_text(
        "from dropsmith.models import SmallConv\n"
        "def net(data):\n"
        "    return SmallConv(channels=1, size=8, classes=data.classes, widths=(5, 6), hidden=7)\n"
    )
    monkeypatch.chdir(tmp_path)
    run, _ = finished_run("digits", model="wider_here:net")
    run.write(tmp_path / "run")
    sys.modules.pop("wider_here")
    images = run.data.test.columns["image"][:5]
    found = ds.load(tmp_path / "run").predict(images, samples=0).mean
    torch.testing.assert_close(found, run.model.eval()(images).softmax(-1))
    assert "wider_here" not in sys.modules


def test_a_model_of_ours_whose_parts_were_changed_is_not_described_as_ours(tmp_path):
    run, _ = finished_run("digits", plan=ds.Plan())
    run.model.head = nn.Linear(128, 10, bias=False)
    changed = replace(run, weights=run.model.state_dict())
    assert changed.description.model["source"] == "function"


def test_patterns_of_ones_own_are_given_to_the_loader(tmp_path, monkeypatch):
    (tmp_path / "own_pattern_here.py").write_text(
        "from dataclasses import dataclass\n"
        "from dropsmith import Bernoulli\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Mine(Bernoulli):\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_pattern_here  # pyright: ignore[reportMissingImports]

    mine = own_pattern_here.Mine
    run, _ = finished_run("digits", plan=ds.Plan(ds.rule("head.input", mine(rate=0.3))))
    run.write(tmp_path / "run")
    sys.modules.pop("own_pattern_here")
    with pytest.raises(PlanError, match="Mine"):
        ds.load(tmp_path / "run")
    assert "own_pattern_here" not in sys.modules
    assert ds.load(tmp_path / "run", patterns=[mine]).plan == run.plan


def edited(folder, tmp_path, name, edit):
    """A copy of a run's folder, one of whose JSON files holds something else."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    values = json.loads((copy / name).read_text())
    edit(values)
    (copy / name).write_text(json.dumps(values))
    return copy


@pytest.mark.parametrize("names", [["bright"], ["bright", "dark", "even", "odd"]])
@pytest.mark.parametrize("samples", [0, 3])
def test_another_number_of_classes_than_the_model_has_is_an_error(texts, tmp_path, names, samples):
    _, folder, table = texts
    copy = edited(folder, tmp_path, "config.json", lambda values: values.update(names=names))
    with pytest.raises(DataError, match=rf"config.json names {len(names)} classes.*scores of 3\n"):
        ds.load(copy).predict(table, samples)


@pytest.mark.parametrize("heads", [0, 5, [2], "2"])
def test_a_description_that_makes_a_model_which_cannot_run_is_an_error(texts, tmp_path, heads):
    _, folder, table = texts

    def change(values):
        values["model"]["description"]["arguments"]["heads"] = heads

    copy = edited(folder, tmp_path, "config.json", change)
    with pytest.raises(DropsmithError):
        ds.load(copy).predict(table, 3)


def test_inputs_that_the_model_cannot_take_are_an_error_that_keeps_its_cause(digits):
    _, folder = digits
    predictor = ds.load(folder)
    with (
        pytest.raises(DataError, match=r"cannot run on these inputs\n") as caught,
        predictor._inputs_fit(),
    ):
        predictor.model(torch.ones(2, 7))
    assert isinstance(caught.value.__cause__, RuntimeError)
