"""Examples with and without a label, side by side."""

from dataclasses import replace

import pytest
import torch

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import AugmentedImages, PartlyLabelled, Split
from dropsmith.tasks.data.partly_labelled import divide_labels
from dropsmith.tasks.images.augmentation import Cutout, Flips

COUNT = 60


def images(count=COUNT):
    pixels = torch.arange(1.0, count + 1).view(-1, 1, 1, 1).expand(-1, 1, 4, 4).clone()
    return Split({"image": pixels, "labels": torch.arange(count) % 3})


def parts(labels=12, **change):
    known, others = divide_labels(images(), labels)
    return PartlyLabelled(known, others, **change)


def names_of(columns):
    """The number by which each image can be told, from a pixel that nothing has changed."""
    return columns["image"].flatten(1).amax(1).tolist()


def test_labels_are_kept_of_each_class_alike_and_every_example_is_in_one_part():
    known, others = divide_labels(images(), 12)
    assert known.tensors()["labels"].bincount().tolist() == [4, 4, 4]
    together = names_of(known.tensors()) + names_of(others.tensors())
    assert sorted(together) == list(range(1, COUNT + 1))
    again, _ = divide_labels(images(), 12)
    assert torch.equal(known.tensors()["image"], again.tensors()["image"])
    fewer, _ = divide_labels(images(), 6)
    assert set(names_of(fewer.tensors())) <= set(names_of(known.tensors()))


@pytest.mark.parametrize("count", [2, COUNT + 1])
def test_a_number_of_labels_that_cannot_be_is_refused(count):
    with pytest.raises(TaskError, match=f"give a number from 3 to {COUNT}"):
        divide_labels(images(), count)


def test_values_have_no_classes_to_choose_from():
    with pytest.raises(TaskError, match="have no class each"):
        divide_labels(Split({"x": torch.ones(5, 2), "labels": torch.rand(5)}), 3)


def test_every_example_must_not_have_a_label():
    with pytest.raises(TaskError, match="there are none without"):
        parts(labels=COUNT)


def test_the_rows_without_a_label_come_first_and_their_labels_are_never_seen():
    part = parts(ratio=3)
    known, hidden = (set(names_of(p.tensors())) for p in (part.labelled, part.unlabelled))
    seen = set()
    for step in range(1, 10):
        columns = part.batch(step, seed=0, batch_size=5).columns
        assert columns["labels"][:15].tolist() == [-100] * 15
        assert (columns["labels"][15:] == (columns["image"][15:, 0, 0, 0].long() - 1) % 3).all()
        names = names_of(columns)
        assert set(names[:15]) <= hidden
        assert set(names[15:]) <= known
        seen |= set(names[:15])
    assert seen == hidden  # 9 × 15 rows pass over all 48


def test_a_batch_is_a_function_of_seed_and_step():
    part = parts(ratio=2, augmentations=(Flips(), Cutout(size=2)))
    first, again, other = (part.batch(3, seed=seed, batch_size=4) for seed in (0, 0, 1))
    for name in ("columns", "second"):
        pairs = zip(getattr(first, name).values(), getattr(again, name).values(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)
    assert not torch.equal(first.columns["image"], other.columns["image"])


def test_labelled_rows_are_those_of_a_method_that_reads_no_others():
    both, alone = parts(ratio=2), parts(ratio=0)
    for step in (1, 4):
        columns = both.batch(step, seed=7, batch_size=4).columns
        expected = alone.batch(step, seed=7, batch_size=4)
        assert torch.equal(columns["image"][8:], expected.columns["image"])
        assert expected.second is None


def test_the_second_view_has_the_rows_without_a_label_changed_and_no_others():
    plain = parts(ratio=2).batch(1, seed=0, batch_size=4)
    changed = parts(ratio=2, augmentations=(Cutout(size=2),)).batch(1, seed=0, batch_size=4)
    assert plain.second is None
    assert torch.equal(plain.columns["image"], changed.columns["image"])
    assert len(changed.second["image"]) == len(changed.second["labels"]) == 8
    assert names_of(changed.second) == names_of(plain.columns)[:8]
    assert (changed.second["image"] == 0).flatten(1).any(1).all()


def test_weak_augmentations_of_the_task_stay_in_both_streams():
    task = AugmentedImages(images(), (Cutout(size=3),))
    known, others = divide_labels(task, 12)
    columns = PartlyLabelled(known, others).batch(1, seed=0, batch_size=6).columns
    assert (columns["image"] == 0).flatten(1).any(1).sum() > 6


def test_fewer_examples_than_a_batch_would_have_are_all_of_it():
    part = parts(labels=COUNT - 4, ratio=2)
    batch = part.batch(1, seed=0, batch_size=10)
    assert batch.columns["labels"].eq(-100).sum() == 4
    assert part.count_examples(1, seed=0, batch_size=10) == 14
    assert part.count_labelled(1, seed=0, batch_size=10) == 10


@pytest.mark.parametrize(("augmentations", "second"), [((), 15), ((Flips(),), 10)])
def test_a_second_view_counts_the_rows_that_it_sees(augmentations, second):
    part = parts(ratio=2, augmentations=augmentations)
    assert part.count_second(1, seed=0, batch_size=5) == second


def test_texts_are_filled_up_to_one_width():
    texts = {"tokens": torch.tensor([[1, 2, 3], [4, 0, 0]]), "labels": torch.tensor([0, 1])}
    known = Split(texts, padded_columns=("tokens",))
    others = Split({"tokens": torch.tensor([[5, 6, 7, 8, 9]])}, padded_columns=("tokens",))
    columns = PartlyLabelled(known, others).batch(1, seed=0, batch_size=2).columns
    assert columns["tokens"].shape == (3, 5)
    assert columns["tokens"][0].tolist() == [5, 6, 7, 8, 9]
    assert sorted(columns["tokens"][1:].tolist()) == [[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]]


def test_examples_of_another_size_are_refused():
    part = parts()
    small = Split({"image": torch.zeros(5, 1, 2, 2)})
    with pytest.raises(DataError, match=r"have \(1, 2, 2\) of torch.float32 as 'image'"):
        replace(part, unlabelled=small)
    with pytest.raises(DataError, match="have nothing as 'image'"):
        replace(part, unlabelled=Split({"tokens": torch.zeros(5, 2)}))
