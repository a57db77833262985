from statistics import fmean, pstdev

import pytest
import torch

from dropsmith.errors import DataError
from dropsmith.tasks.text.labels import classes, values

PARTS = {
    "train": [("a", "2"), ("b", "10"), ("c", "4"), ("d", "4")],
    "validation": [("e", "3")],
    "test": [("f", "-5")],
}


def test_values_are_standardised_by_the_training_examples_that_are_kept():
    columns, unit = values(PARTS, "here").columns([0, 1])
    assert unit == pytest.approx(pstdev([2, 10]))
    torch.testing.assert_close(columns["train"], torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(columns["test"], torch.tensor([(-5 - fmean([2, 10])) / unit]))


def test_training_values_that_are_all_alike_are_not_divided_by_zero():
    columns, unit = values(PARTS, "here").columns([2, 3])
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
    columns, _ = labels.columns([1])
    assert labels.names == ("x", "why")
    assert columns["train"].tolist() == [1]
    assert columns["test"].tolist() == [0, 1]
