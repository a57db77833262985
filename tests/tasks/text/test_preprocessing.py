"""New rows become what the rows of the training table became, and nothing else is needed."""

import csv
import json
import math
from pathlib import Path

import pytest
import torch

from dropsmith.errors import DataError
from dropsmith.tasks import Data, find_task, preprocessing_from_json
from dropsmith.tasks.text.source import TextSource

ROWS = [(f"The film {i} is {'good' if i % 3 else 'bad'}, {i * 7 % 11}!", i % 3) for i in range(60)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "films.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows(ROWS)
    return path


@pytest.fixture(scope="module")
def data(table: Path) -> Data:
    return find_task(str(table)).load()


def read_back(data: Data):
    assert data.preprocessing is not None
    return preprocessing_from_json(json.loads(json.dumps(data.preprocessing.to_json())), Path())


def test_a_training_file_that_is_read_again_gives_the_rows_that_training_saw(
    table: Path, data: Data
):
    inputs = read_back(data).read(table)
    assert inputs.labels is not None
    assert inputs.names == tuple(map(str, range(1, 61)))
    rows = {
        (tuple(t for t in tokens if t), label)
        for part in (data.train, data.validation, data.test)
        for tokens, label in zip(
            part.tensors()["tokens"].tolist(), part.tensors()["labels"].tolist(), strict=True
        )
    }
    read = inputs.part.tensors()["tokens"].tolist()
    assert {
        (tuple(t for t in tokens if t), label)
        for tokens, label in zip(read, inputs.labels.tolist(), strict=True)
    } == rows


def test_equal_preprocessing_comes_back_from_its_json(data: Data):
    assert read_back(data) == data.preprocessing


def test_rows_without_labels_have_none_and_a_missing_one_counts_nowhere(data: Data):
    steps = read_back(data)
    assert steps.inputs([{"text": "good"}]).labels is None
    labels = steps.inputs([{"text": "good", "label": 1}, {"text": "bad", "label": None}]).labels
    assert labels is not None
    assert labels.tolist() == [1, -100]


def test_a_class_that_training_did_not_have_is_refused_by_its_row(data: Data):
    with pytest.raises(DataError, match="row 2: the label 'seven' is no class"):
        read_back(data).inputs([{"text": "a", "label": "1"}, {"text": "b", "label": "seven"}])


def test_a_row_without_the_column_of_texts_is_refused_and_its_columns_named(data: Data):
    with pytest.raises(DataError, match=r"row 1 has no column 'text'\n  its columns are: body"):
        read_back(data).inputs([{"body": "a"}])


def test_values_are_standardised_as_in_training(tmp_path: Path):
    rows = [f"film {i} of {i % 5}\t{i / 4}" for i in range(80)]
    path = tmp_path / "t.tsv"
    path.write_text("\n".join(["text\tlabel", *rows]))
    data = TextSource(name="t", about="films", text=("text",), kind="regression").read(path, None)
    labels = (
        read_back(data).inputs([{"text": "a", "label": 8.0}, {"text": "b", "label": ""}]).labels
    )
    assert labels is not None
    unit = data.train.unit
    assert float(labels[0]) * unit + data.mean == pytest.approx(8.0, abs=1e-5)
    assert math.isnan(float(labels[1]))
    train = data.train.tensors()["labels"].double() * unit + data.mean
    assert float(train.mean()) == pytest.approx(data.mean, abs=1e-4)


def test_an_example_has_the_shape_that_the_model_takes(data: Data):
    rows = read_back(data).example().rows(slice(0, 1))
    with torch.no_grad():
        assert find_task("text").model(data)(**rows).shape == (1, 3)


@pytest.mark.parametrize("values", [None, {}, {"kind": "words"}, {"kind": "text"}, []])
def test_anything_else_is_refused(values: object):
    with pytest.raises(DataError):
        preprocessing_from_json(values, Path())
