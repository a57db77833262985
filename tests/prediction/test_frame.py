"""A prediction as a table: a row for each input, and nothing where nothing is known."""

import math

import pytest
import torch

import dropsmith as ds
from dropsmith.errors import DataError
from dropsmith.prediction import join_predictions, one_pass

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


def test_several_predictions_an_input_are_refused_in_a_sentence():
    net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 3))
    with pytest.raises(DataError, match=r"one row for each input.*\(2, 7, 3\)"):
        ds.predict(net, torch.randn(2, 7, 4), 4).to_frame()


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
