"""Runs on examples of which some have no label."""

from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from dropsmith.compare import METHODS, Design, check, find_method
from dropsmith.compare.stored_records import unlabelled_hash
from dropsmith.errors import DataError, TaskError
from dropsmith.objectives import UDA, FixMatch, PiModel, RDrop, TaskLoss
from dropsmith.patterns import Bernoulli
from dropsmith.plans import Plan, rule
from dropsmith.record import config_id
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks import Data, PartlyLabelled, Split, find_task, with_unlabelled
from dropsmith.train import Saving, task_and_data, train, training_part
from dropsmith.train.length import Length
from train.setups import SHORT, digits

TABLE = "text,label\n" + "\n".join(
    f"word{i % 7} and {'good' if i % 2 else 'bad'} {i},{('yes', 'no', '')[i % 3]}"
    for i in range(240)
)


def some(objective, **change):
    """A run on digits of which 50 have a label and 50 have none."""
    return digits(objective=objective, **{"labels": 50} | change)


def part_of(setup):
    return training_part(setup, *task_and_data(setup))


def test_a_method_that_counts_no_row_without_a_label_reads_none():
    part = part_of(some(TaskLoss(), unlabelled_ratio=3))
    columns = part.batch(1, seed=0, batch_size=10).columns
    assert len(columns["labels"]) == 10
    assert (columns["labels"] >= 0).all()
    part = part_of(some(PiModel(kappa=1, term_rows="all"), unlabelled_ratio=3))
    assert part.batch(1, seed=0, batch_size=10).columns["labels"].eq(-100).sum() == 30


def test_only_an_objective_that_says_so_sees_augmented_rows():
    assert part_of(some(UDA())).batch(1, seed=0, batch_size=5).second is not None
    for objective in (UDA(augment=False), PiModel(kappa=1, term_rows="all")):
        assert part_of(some(objective)).batch(1, seed=0, batch_size=5).second is None


def test_all_methods_have_an_equal_budget_of_examples_with_and_without_a_label():
    lengths = {}
    for equal in ("views", "updates"):
        for objective in (TaskLoss(), RDrop(alpha=1), PiModel(kappa=1, term_rows="all"), UDA()):
            setup = some(objective, budget=replace(SHORT, equal=equal), unlabelled_ratio=2)
            part = part_of(setup)
            assert len(part) == 100
            length = Length.of(setup.budget, objective, part)
            lengths[equal, type(objective).__name__] = length.views[-1], length.steps
    # Batches of 20 with a label and 40 without; two epochs of a hundred examples.
    assert lengths["views", "TaskLoss"] == (200, 10)
    assert lengths["views", "RDrop"] == (200, 5)
    assert lengths["views", "PiModel"] == (240, 2)  # 2 × 60 rows a step
    assert lengths["views", "UDA"] == (200, 2)  # 60 rows, and 40 of them again
    assert {steps for (equal, _), (_, steps) in lengths.items() if equal == "updates"} == {10}


def flat(data):
    """A model whose forward calls its input otherwise than the task."""
    return Flat()


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        return self.head(x.flatten(1))


def test_images_are_augmented_whatever_a_model_calls_them():
    setup = some(UDA(), model=f"{__name__}:flat", plan=Plan(rule("head", Bernoulli(rate=0.2))))
    batch = part_of(setup).batch(1, seed=0, batch_size=5)
    assert set(batch.second) == set(batch.columns) == {"x", "labels"}
    assert not torch.equal(batch.second["x"], batch.columns["x"][:5])


def test_pictures_of_a_folder_are_examples_without_a_label_of_a_task_of_colour_images(tmp_path):
    for number in range(3):
        Image.new("RGB", (40, 50), (number, 0, 0)).save(tmp_path / f"{number}.png")
    generator = torch.Generator().manual_seed(0)
    images = {"image": torch.rand(4, 3, 8, 8, generator=generator), "labels": torch.arange(4) % 2}
    data = Data.of([Split(images)] * 3, names=["a", "b"], source="noise")
    found = with_unlabelled(find_task("cifar10"), data, None, str(tmp_path))
    assert found.unlabelled.tensors()["image"].shape == (3, 3, 8, 8)
    assert len(found.unlabelled_sha256) == 64
    part = PartlyLabelled(found.train, found.unlabelled)
    assert len(part.batch(1, seed=0, batch_size=2).columns["image"]) == 4


def test_without_a_limit_the_labels_of_the_whole_task_are_hidden():
    setup = some(UDA(), limit=None)
    assert len(part_of(setup)) == 700
    assert setup.to_json()["limit"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": None}, "hide the labels of some: labels=100"),
        ({"labels": 3}, "give a number from 10 to 100"),
        ({"labels": 100}, "there are none without"),
        ({"unlabelled": "elsewhere"}, "give one of the two"),
        ({"labels": 0}, "labels"),
        ({"labels": None, "unlabelled_ratio": 2}, "there are none\n"),
        ({"labels": None, "unlabelled": "elsewhere"}, "does not read examples from files"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(TaskError, match=words):
        part_of(some(UDA(), **change))


def test_settings_enter_the_configuration_only_where_they_are_set():
    plain = digits().to_json()
    assert not {"labels", "unlabelled", "unlabelled_ratio"} & set(plain)
    change = {"labels": 50, "unlabelled_ratio": 2}
    values = digits(**change).to_json()
    assert values == plain | change
    assert config_id(values) != config_id(plain)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text(TABLE)
    return str(path)


def of_table(table, objective, **change):
    plan = find_task(table).plan("dropout", 0.3)
    return digits(task=table, plan=plan, objective=objective, limit=None, **change)


def test_rows_of_a_table_with_an_empty_label_are_examples_without_a_label(table):
    setup = of_table(table, UDA(), unlabelled=table)
    part = part_of(setup)
    assert isinstance(part, PartlyLabelled)
    assert len(part.unlabelled) == TABLE.count(",\n") + TABLE.endswith(",")
    batch = part.batch(1, seed=0, batch_size=8)
    assert batch.columns["labels"][:8].tolist() == [-100] * 8
    assert batch.second is None  # of texts no augmentation is known
    assert setup.to_json()["unlabelled"] is True


def test_a_table_in_which_every_row_has_a_label_holds_none_without(table, tmp_path):
    rows = [line for line in TABLE.splitlines() if not line.endswith(",")]
    (tmp_path / "full.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match="has a label"):
        part_of(of_table(table, UDA(), unlabelled=str(tmp_path / "full.csv")))


def test_a_comparison_without_examples_without_a_label_says_so_before_training():
    design = Design(task=find_task("digits"), methods=("dropout", "uda"), budget=SHORT)
    with pytest.raises(TaskError, match="hide the labels of some"):
        check(design)
    check(replace(design, labels=100))


@pytest.mark.parametrize(
    "name", [n for n in METHODS if find_method(n).goal(METHODS[n].settings[0]).reads_unlabelled]
)
def test_methods_of_rows_without_a_label_are_for_classes(name):
    assert find_method(name).kinds == ("classification",)


def test_the_second_view_of_augmented_rows_shares_nothing():
    for name in ("uda+trunk", "fixmatch+share-0.5"):
        with pytest.raises(TaskError, match="shares no part of the first"):
            find_method(name)
    assert find_method("uda+every-4").views == 2


def test_every_seed_has_the_labels_of_the_same_examples():
    first, second = (part_of(some(UDA(), seed=seed)).tensors() for seed in (0, 1))
    assert torch.equal(first["image"], second["image"])


def test_the_hash_of_examples_of_another_place_is_made_once_until_a_file_changes(
    tmp_path, monkeypatch
):
    table = tmp_path / "texts.csv"
    table.write_text(TABLE)
    task = find_task(str(table))
    reads = []
    steps = type(task.load().preprocessing)
    read = steps.read

    def counted(self, place, *args, **kwargs):
        reads.append(place)
        return read(self, place, *args, **kwargs)

    monkeypatch.setattr(steps, "read", counted)
    other = tmp_path / "other.csv"
    other.write_text("text\n" + "\n".join(f"word{i} and more" for i in range(9)))
    setups = [of_table(str(table), UDA(), unlabelled=str(other), seed=seed) for seed in range(3)]
    first, *others = [unlabelled_hash(setup) for setup in setups]
    assert others == [first, first]
    assert reads == [other]
    assert first == task_and_data(setups[0])[1].unlabelled_sha256
    other.write_text("text\nanother text\n")
    assert unlabelled_hash(setups[0]) != first


class Stop(Exception):
    pass


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective", [UDA(confidence=0.1), FixMatch(confidence=0.1, every=2)], ids=repr
)
def test_a_run_stopped_in_the_middle_resumes_with_both_streams_to_the_same_weights(
    tmp_path, objective
):
    setup = some(objective, unlabelled_ratio=2, budget=replace(SHORT, epochs=4))
    whole = train(setup, tmp_path / "whole")

    def stop(done, /):
        if done >= 0.5:
            raise Stop

    with pytest.raises(Stop):
        train(setup, tmp_path / "cut", progress=stop, saving=Saving(steps=1))
    resumed = train(setup, tmp_path / "cut")
    first, second = (load_file(tmp_path / name / WEIGHTS) for name in ("whole", "cut"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert resumed.scores == whole.scores
    curves = [
        [
            (row["train_loss"], row.get("train_consistency"), row.get("train_confident"))
            for row in run.curve
        ]
        for run in (whole, resumed)
    ]
    assert curves[0] == curves[1]
    assert any(consistency for _, consistency, _ in curves[0])
    assert whole.environment["unlabelled_examples"] == 50


@pytest.mark.slow
def test_texts_without_a_label_are_trained_on(tmp_path, table):
    setup = of_table(table, RDrop(alpha=1, term_rows="all"), unlabelled=table)
    record = train(setup, tmp_path / "runs")
    assert record.status == "finished"
    assert len(record.environment["unlabelled_sha256"]) == 64
