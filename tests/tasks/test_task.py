import math

import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.tasks import Data, Split, Stream, find_task


def texts(rows=((1, 2, 3, 0, 0), (4, 0, 0, 0, 0), (5, 6, 0, 0, 0))):
    return Split(
        {"tokens": torch.tensor(rows), "labels": torch.arange(3)}, padded_columns=("tokens",)
    )


def test_a_batch_holds_the_rows_asked_for_in_every_column():
    batch = texts().rows(torch.tensor([2, 0]))
    assert batch["tokens"].tolist() == [[5, 6, 0], [1, 2, 3]]
    assert batch["labels"].tolist() == [2, 0]


def test_a_batch_keeps_no_more_padding_than_its_longest_row_needs_but_one_place():
    assert texts().rows(slice(1, 2))["tokens"].tolist() == [[4]]
    assert Split({"x": torch.zeros(2, 4).long()}, padded_columns=("x",)).rows(slice(0, 2))[
        "x"
    ].shape == (
        2,
        1,
    )


def data(**change):
    parts = {
        "train": torch.tensor([1.0, 2.0]),
        "validation": torch.tensor([3.0]),
        "test": torch.tensor([4.0]),
    } | change
    splits = [Split({"x": column}) for column in parts.values()]
    return Data.of(splits, names=("a", "b"), source="here")


def test_a_part_joined_with_another_holds_the_examples_of_both_in_order():
    short, long = texts([[5, 6], [7, 0], [8, 0]]), texts([[1, 2, 3], [4, 0, 0], [9, 0, 0]])
    for first, second in ((short, long), (long, short)):
        both = first.concatenate(second)
        assert len(both) == 6
        for index in range(3):
            one = slice(index, index + 1)
            other = slice(index + 3, index + 4)
            assert both.rows(one)["tokens"].tolist() == first.rows(one)["tokens"].tolist()
            assert both.rows(other)["tokens"].tolist() == second.rows(one)["tokens"].tolist()
    assert short.concatenate(long).rows(slice(0, 6))["labels"].tolist() == [0, 1, 2, 0, 1, 2]


def test_running_text_is_not_joined():
    text = Stream(torch.arange(9))
    with pytest.raises(TaskError, match="of a Stream cannot be joined"):
        text.concatenate(text)


def test_the_hash_is_of_the_examples_their_types_and_their_split():
    assert data().sha256 == data().sha256
    changed = [
        data(test=torch.tensor([4.5])),
        data(test=torch.tensor([4.0], dtype=torch.float64)),
        data(train=torch.tensor([[1.0, 2.0]])),
        data(train=torch.tensor([1.0]), validation=torch.tensor([2.0, 3.0])),
    ]
    assert len({data().sha256, *(one.sha256 for one in changed)}) == 5


def test_scores_are_sums_over_the_counted_items():
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    batch = {"labels": torch.tensor([0, 0, -100])}
    scores = find_task("digits").score(logits, batch)
    nll = math.log(1 + math.exp(-2)) + math.log(1 + math.exp(1))
    assert scores["nll"] == pytest.approx((nll, 2))
    assert scores["accuracy"] == (1, 2)


def test_a_language_models_scores_count_words():
    logits = torch.zeros(2, 3, 5)
    logits[0, 0, 4] = 1
    batch = {"labels": torch.tensor([[4, 0, 0], [1, -100, -100]])}
    scores = find_task("python-docs").score(logits, batch)
    assert scores["accuracy"] == (3, 4)
    assert scores["nll"][1] == 4
