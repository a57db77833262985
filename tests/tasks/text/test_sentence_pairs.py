"""The real sets of pairs, held against published counts, and a few steps on each kind."""

import pytest
import torch

from dropsmith.compare import METHODS, Design, pick
from dropsmith.tasks import Budget, find_task
from dropsmith.tasks.text.parts import partition
from dropsmith.tasks.text.sentences import MRPC, QNLI, RTE, STSB, WNLI
from dropsmith.train import train

pytestmark = pytest.mark.slow

OF_VALUES = ("mse", "rmse", "mae", "r2")
OF_CLASSES = ("nll", "accuracy", "calibration_error", "macro_f1", "weighted_f1", "auroc")
SOURCES = {task.name: task.source for task in (MRPC, QNLI, RTE, STSB, WNLI)}


def sizes(data):
    return [len(p) for p in (data.train, data.validation, data.test)]


def sentences(rows):
    return {sentence for text, _ in rows for sentence in text.split("\t")}


@pytest.mark.parametrize(
    ("name", "held", "train", "names"),
    [
        ("mrpc", 1_725, 4_076, ("different", "same")),
        ("rte", 277, 2_490, ("entailment", "not_entailment")),
        ("wnli", 71, 635, ("not_entailment", "entailment")),
    ],
)
def test_the_only_published_held_out_part_is_the_test(data_dir, name, held, train, names):
    data = find_task(name).load(data_dir / "nlu")
    assert sizes(data)[2] == held
    assert data.names == names
    # Training pairs that stand in the test as well are left out: a few in all.
    assert train - 20 < sizes(data)[0] + sizes(data)[1] <= train
    assert abs(sizes(data)[1] / train - 0.15) < 0.01


def test_the_pairs_of_mrpc_that_say_the_same_are_1147_of_its_test(data_dir):
    data = find_task("mrpc").load(data_dir / "nlu")
    assert data.test.columns["labels"].bincount().tolist() == [1_725 - 1_147, 1_147]


@pytest.mark.parametrize("name", ["mrpc", "rte", "wnli"])
def test_pairs_cut_from_training_share_no_sentence_with_the_rest(data_dir, name):
    parts = partition(SOURCES[name].parts(data_dir / "nlu" / name), pairs=True)
    assert not sentences(parts["train"]) & sentences(parts["validation"])


def test_one_table_of_questions_is_divided_without_a_sentence_in_two_parts(data_dir):
    parts = partition(SOURCES["qnli"].parts(data_dir / "nlu"), pairs=True)
    train, validation, test = (sentences(rows) for rows in parts.values())
    assert sum(map(len, parts.values())) == 5_463
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert abs(len(parts["train"]) / 5_463 - 0.7) < 0.03


@pytest.mark.slow
def test_similarities_are_scaled_by_their_spread_and_kept_in_their_parts(data_dir):
    data = find_task("stsb").load(data_dir / "nlu")
    assert sizes(data)[2] == 1_379
    assert sizes(data)[0] <= 5_749
    train = data.train.columns["labels"]
    assert abs(float(train.mean())) < 1e-5
    assert float(train.std()) == pytest.approx(1, abs=1e-3)
    # Scores run from 0 to 5, so that many units lie between the least and the most.
    assert float(train.max() - train.min()) * data.train.unit == pytest.approx(5)


def test_both_sentences_come_back_from_their_numbers(data_dir):
    data = find_task("wnli").load(data_dir / "nlu")
    row = data.train.rows(slice(0, 1))
    words = [[data.vocabulary[i] for i in row[name][0].tolist()] for name in ("tokens", "second")]
    texts = SOURCES["wnli"].examples(data_dir / "nlu", None).texts["train"][0]
    from dropsmith.tasks.data.vocabulary import tokenise

    assert words == [tokenise(text)[:64] for text in texts]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method", "scores"),
    [
        ("stsb", "r-drop", {*OF_VALUES, "pearson", "spearman"}),
        ("mrpc", "r-drop", {*OF_CLASSES, "f1"}),
        ("stsb", "lr-drop", {*OF_VALUES, "pearson", "spearman"}),
        ("cola", "dropout", {*OF_CLASSES, "matthews"}),
    ],
)
def test_a_few_steps_lower_the_loss_and_end_in_the_usual_scores(
    data_dir, tmp_path, name, method, scores
):
    task = find_task(name)
    budget = Budget(epochs=8, batch_size=32, learning_rate=2e-3)
    design = Design(
        task=task,
        methods=pick([method], task),
        budget=budget,
        data=str(data_dir / "nlu"),
        limit=64,
    )
    setting = METHODS[method].settings[0] | {"rate": 0.1}
    record = train(design.setup(method, setting, 0), tmp_path)
    # Always the commonest class has no confidence to calibrate.
    constant = {f"constant_{score}" for score in scores - {"calibration_error"}}
    found = {key.removeprefix("test_") for key in record.scores if "test" in key}
    assert found == scores | constant
    assert record.curve[-1]["train_loss"] < 0.9 * record.curve[0]["train_loss"]
    wanted = "values" if name == "stsb" else None
    assert design.setup(method, setting, 0).objective.to_json().get("kind") == wanted


def test_the_first_pairs_of_a_table_of_ones_own_are_read_too(tmp_path):
    from dataclasses import replace

    rows = "".join(f"one {i},two {i},{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "pairs.csv").write_text("sentence1,sentence2,label\n" + rows)
    source = replace(SOURCES["rte"], name="own")
    data = source.read(tmp_path / "pairs.csv", None)
    assert sum(sizes(data)) == 60
    assert data.train.columns["second"].shape == data.train.columns["tokens"].shape
    assert not torch.equal(data.train.columns["second"], data.train.columns["tokens"])
