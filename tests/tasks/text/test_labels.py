from statistics import fmean, pstdev

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropsmith.errors import DataError
from dropsmith.tasks.text.labels import classes, quantiles, values

PARTS = {
    "train": [("a", "2"), ("b", "10"), ("c", "4"), ("d", "4")],
    "validation": [("e", "3")],
    "test": [("f", "-5")],
}


def test_values_are_standardised_by_the_training_examples_that_are_kept():
    columns, _, unit = values(PARTS, "here").columns([0, 1])
    assert unit == pytest.approx(pstdev([2, 10]))
    torch.testing.assert_close(columns["train"], torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(columns["test"], torch.tensor([(-5 - fmean([2, 10])) / unit]))


def test_training_values_that_are_all_alike_are_not_divided_by_zero():
    columns, _, unit = values(PARTS, "here").columns([2, 3])
    assert unit == 1.0
    assert columns["train"].tolist() == [0.0, 0.0]


def test_a_few_values_are_chosen_from_all_of_their_range():
    rows = [(str(i), str(i / 10)) for i in range(100)]
    bands = values(PARTS | {"train": rows}, "here").bands
    assert [bands.count(band) for band in range(4)] == [25] * 4
    assert bands == sorted(bands)


@pytest.mark.parametrize("label", ["good", "nan", "inf"])
def test_a_value_that_is_no_number_is_named(label):
    with pytest.raises(DataError, match=rf"a label in here is '{label}'"):
        values(PARTS | {"test": [("f", label)]}, "here")


def test_a_part_without_values_is_named():
    with pytest.raises(DataError, match="no test examples"):
        values(PARTS | {"test": []}, "here")


def test_classes_are_numbered_in_the_order_of_the_table_and_called_otherwise():
    labels = classes({part: [("a", "x"), ("b", "y")] for part in PARTS}, {"y": "why"}, "here")
    columns, *_ = labels.columns([1])
    assert labels.names == ("x", "why")
    assert columns["train"].tolist() == [1]
    assert columns["test"].tolist() == [0, 1]


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=30))
def test_quantiles_are_those_of_torch_to_the_bit(numbers):
    given_values = torch.tensor(numbers, dtype=torch.float64)
    shares = torch.arange(1, 4, dtype=torch.float64) / 4
    assert torch.equal(quantiles(given_values, shares), torch.quantile(given_values, shares))


def test_as_many_classes_as_texts_are_numbered_at_once():
    rows = [(f"text {i}", f"{i:06}") for i in range(30_000)]
    labels = classes(dict.fromkeys(PARTS, rows), {}, "here")
    assert labels.numbers["test"] == list(range(30_000))
