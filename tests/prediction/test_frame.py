"""A prediction as a table: a row for each input, and nothing where nothing is known."""

import math

import pytest
import torch

import dropsmith as ds
from dropsmith.errors import DataError
from dropsmith.prediction import join_predictions, one_pass
from prediction.noisy import encoder, seeded

NET = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 3))


def made(**change):
    from dataclasses import replace

    torch.manual_seed(0)
    return replace(ds.predict(NET, torch.randn(5, 4), samples=9), **change)


def test_the_columns_are_those_of_the_tensors():
    prediction = made(names=tuple("abcde"), classes=("cat", "dog", "cow, or ox"))
    frame = prediction.to_frame()
    assert list(frame["id"]) == list("abcde")
    assert list(frame.columns) == [
        *("id", "prediction", "probability_cat", "probability_dog", "probability_cow, or ox"),
        *("entropy", "mutual_information"),
    ]
    for index, row in frame.iterrows():
        probabilities = [row[f"probability_{name}"] for name in prediction.classes]
        assert probabilities == pytest.approx(prediction.mean[index].tolist())
        assert row["prediction"] == prediction.classes[probabilities.index(max(probabilities))]
        entropy = -sum(p * math.log(p) for p in probabilities)
        assert row["entropy"] == pytest.approx(entropy, rel=1e-5)
        assert row["mutual_information"] == float(prediction.mutual_information[index])


def test_inputs_and_classes_without_names_have_numbers():
    table = made().to_table()
    assert table["id"] == ["1", "2", "3", "4", "5"]
    assert set(table["prediction"]) <= {"0", "1", "2"}


def test_one_pass_knows_no_spread():
    table = one_pass(torch.zeros(2, 3), "classification").to_table()
    assert table["mutual_information"] == [None, None]
    assert table["entropy"] == pytest.approx([math.log(3)] * 2)
    values = one_pass(torch.tensor([[2.0], [3.0]]), "regression").to_table()
    expected = {"id": ["1", "2"], "prediction": [2.0, 3.0], "standard_deviation": [None, None]}
    assert values == expected


@pytest.mark.parametrize("shape", [(6, 4), (6, 1)])
def test_values_have_their_standard_deviation(shape):
    net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, shape[1]))
    prediction = ds.predict(net, torch.ones(shape[0], 4), 8, kind="regression", keep=True)
    table = prediction.to_table()
    ends = [""] if shape[1] == 1 else [f"_{i}" for i in range(shape[1])]
    for index, end in enumerate(ends):
        draws = prediction.draws[..., index]
        assert table[f"prediction{end}"] == pytest.approx(draws.mean(0).tolist(), rel=1e-5)
        deviation = draws.std(0, correction=0).tolist()  # of stratified samples
        assert table[f"standard_deviation{end}"] == pytest.approx(deviation, rel=1e-4)


def test_labels_that_may_hold_at_once_are_listed():
    from dataclasses import replace

    logits = torch.tensor([[3.0, -3.0, 1.0], [-1.0, -1.0, -1.0]])
    prediction = replace(one_pass(logits, "multi_label"), classes=("a", "b", "c"))
    table = prediction.to_table()
    assert table["prediction"] == ["a, c", ""]
    assert table["probability_b"] == pytest.approx(logits[:, 1].sigmoid().tolist())


def test_an_input_of_several_items_has_a_row_for_each_that_is_no_padding():
    torch.manual_seed(0)
    kept = torch.tensor([[1, 1, 1], [1, 0, 0]]).bool()
    prediction = ds.predict(NET, torch.randn(2, 3, 4), 4, mask=kept)
    table = prediction.to_table()
    assert (table["id"], table["item"]) == (["1", "1", "1", "2"], [0, 1, 2, 0])
    rows = [(0, 0), (0, 1), (0, 2), (1, 0)]
    for index, place in enumerate(rows):
        probabilities = [table[f"probability_{c}"][index] for c in range(3)]
        assert probabilities == prediction.mean[place].tolist()
        assert table["entropy"][index] == float(prediction.entropy[place])


def test_pixels_have_their_rows_and_columns():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Dropout2d(0.5), torch.nn.Conv2d(3, 4, 1))
    prediction = ds.predict(net, torch.randn(2, 3, 2, 3), 4)
    table = prediction.to_table()
    assert len(table["id"]) == 12
    for index in range(12):
        place = int(table["id"][index]) - 1, table["item_0"][index], table["item_1"][index]
        image, row, column = place
        assert table["probability_2"][index] == float(prediction.mean[image, 2, row, column])
        assert table["mutual_information"][index] == float(prediction.mutual_information[place])


def test_time_may_come_first():
    torch.manual_seed(0)
    prediction = ds.predict(encoder(batch_first=False), seeded(5, 3, 16), 4)
    assert prediction.mean.shape == (5, 3, 16)
    assert prediction.row_axis == 1
    table = prediction.to_table()
    assert (table["id"][4:6], table["item"][4:6]) == (["1", "2"], [4, 0])
    assert table["probability_7"][9] == float(prediction.mean[4, 1, 7])
    means = prediction.entropy.mean(0)
    torch.testing.assert_close(prediction.average(prediction.entropy), means)
    parts = [ds.predict(encoder(False), x, 4) for x in seeded(5, 3, 16).split(2, 1)]
    assert join_predictions(parts).mean.shape == (5, 3, 16)


def test_pandas_that_is_not_installed_is_said(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas.*\n.*dropsmith.tables"):
        made().to_frame()
    assert made().to_table()["id"][0] == "1"


@pytest.mark.parametrize("kind", ["classification", "regression", "multi_label"])
def test_parts_that_are_joined_are_the_whole(kind):
    torch.manual_seed(0)
    batches = torch.randn(7, 4).split((4, 3))
    parts = [ds.predict(NET, batch, 5, kind=kind, keep=True) for batch in batches]
    whole = join_predictions(parts)
    assert torch.equal(whole.mean, torch.cat([part.mean for part in parts]))
    assert torch.equal(whole.draws.mean(0), torch.cat([p.draws.mean(0) for p in parts]))
    assert (whole.entropy is None) == (kind == "regression")
    assert len(whole.to_frame()) == 7


def test_batches_of_several_lengths_are_not_joined():
    parts = [ds.predict(NET, torch.ones(2, length, 4), 4) for length in (3, 5)]
    with pytest.raises(DataError, match=r"several sizes[\s\S]*pad the inputs"):
        join_predictions(parts)


def test_masks_are_joined_where_some_batches_have_none():
    kept = torch.tensor([[1, 0]]).bool()
    parts = [ds.predict(NET, torch.ones(1, 2, 4), 4, mask=mask) for mask in (None, kept)]
    assert join_predictions(parts).mask.tolist() == [[True, True], [True, False]]
