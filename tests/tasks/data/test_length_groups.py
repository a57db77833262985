"""Batches by length: every row once an epoch, near rows of its length, whatever the sizes."""

from collections import Counter

import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.tasks import Split, find_task, group_by_length


def texts(count, longest=40):
    """Rows of chance lengths; each holds its own number, so that rows are told apart."""
    lengths = torch.randint(1, longest + 1, (count,), generator=torch.Generator().manual_seed(1))
    column = torch.zeros(count, longest, dtype=torch.long)
    for row, length in enumerate(lengths.tolist()):
        column[row, :length] = row + 1
    return Split({"tokens": column, "labels": torch.arange(count)}, padded_columns=("tokens",))


@pytest.mark.parametrize(("count", "batch_size"), [(1, 4), (7, 3), (400, 32), (1000, 4), (33, 32)])
def test_every_row_is_seen_once_an_epoch_in_batches_that_are_not_larger_than_asked(
    count, batch_size
):
    part = group_by_length(texts(count))
    for epoch in range(2):
        seen, steps = Counter(), -(-count // batch_size)
        for step in range(epoch * steps + 1, (epoch + 1) * steps + 1):
            labels = part.batch(step, seed=3, batch_size=batch_size).columns["labels"].tolist()
            assert 1 <= len(labels) <= batch_size
            assert part.count_examples(step, seed=3, batch_size=batch_size) == len(labels)
            seen.update(labels)
        assert seen == Counter(range(count))


def test_columns_stay_aligned_and_a_batch_is_as_wide_as_its_longest_row():
    part = group_by_length(texts(300))
    for step in range(1, 11):
        batch = part.batch(step, seed=0, batch_size=32).columns
        assert torch.equal(batch["tokens"][:, 0], batch["labels"] + 1)
        assert bool((batch["tokens"][:, -1] != 0).any())


def test_little_of_a_batch_is_padding_and_neighbours_in_time_have_any_length():
    split = texts(3000)
    part = group_by_length(split)

    def share_of_padding(examples):
        batches = [examples.batch(s, seed=0, batch_size=32).columns["tokens"] for s in range(1, 94)]
        return sum(int((b == 0).sum()) for b in batches) / sum(b.numel() for b in batches)

    assert share_of_padding(split) > 0.4
    assert share_of_padding(part) < 0.05
    widths = [part.batch(s, seed=0, batch_size=32).columns["tokens"].shape[1] for s in range(1, 51)]
    assert sorted(widths) != widths != sorted(widths, reverse=True)


def test_epochs_and_seeds_differ_and_a_step_is_a_function_of_its_arguments():
    part, again = group_by_length(texts(64)), group_by_length(texts(64))

    def first(examples, step, seed):
        return examples.batch(step, seed=seed, batch_size=8).columns["labels"].tolist()

    assert first(part, 3, 0) == first(again, 3, 0)
    assert first(part, 3, 0) != first(part, 3, 1)
    assert first(part, 3, 0) != first(part, 11, 0)


def test_of_two_padded_columns_the_longer_decides():
    # Sorted by the left column alone, every batch of two would have a right one of three tokens.
    left = torch.tensor([[1, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 0]])
    right = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 0, 0]])
    part = group_by_length(Split({"left": left, "right": right}, padded_columns=("left", "right")))
    widths = {part.batch(s, seed=0, batch_size=2).columns["right"].shape[1] for s in (1, 2)}
    assert widths == {1, 3}


def test_scoring_reads_the_rows_in_their_order():
    split = texts(50)
    part = group_by_length(split)
    assert (len(part), part.unit) == (50, split.unit)
    order = [b.columns["labels"] for b in part.batches(16)]
    assert torch.cat(order).tolist() == list(range(50))


def test_examples_without_padding_are_refused():
    data = find_task("digits").load()
    with pytest.raises(TaskError, match=r"grouped by length.*\n.*leave --batches out"):
        group_by_length(data.train)
