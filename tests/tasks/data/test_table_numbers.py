"""Tables with a decimal comma are read as pandas reads them; what may mean two things is asked."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from dropsmith.errors import DataError
from dropsmith.tasks import DataOptions, find_task, preprocessing_from_json

COUNT = 120


def frame(seed=0):
    draw = np.random.default_rng(seed)
    return pandas.DataFrame(
        {
            "size": draw.normal(80, 30, COUNT).round(2),
            "rooms": draw.integers(1, 6, COUNT),
            "share": np.where(draw.random(COUNT) < 0.2, np.nan, draw.random(COUNT).round(3)),
            "price": draw.normal(1e5, 3e4, COUNT).round(1),
        }
    )


def load(path, **options):
    return find_task(str(path), data_options=DataOptions(label_column="price", **options)).load()


def all_rows(data):
    """The rows of all parts with their labels, in the unit of the table, in order."""
    parts = (data.train, data.validation, data.test)
    rows = [torch.cat([p.columns["features"], p.columns["labels"][:, None]], 1) for p in parts]
    values = torch.cat(rows).double().numpy()
    values[:, -1] = values[:, -1] * data.train.unit + data.mean
    return values[np.lexsort(values.T.round(3))]


@pytest.mark.parametrize("delimiter", [";", "\t", ",", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_a_decimal_comma_is_found_and_read_as_pandas_reads_it(tmp_path, delimiter, encoding):
    table = frame().rename(columns={"size": "größe"})
    path = tmp_path / "t.csv"
    table.to_csv(path, sep=delimiter, decimal=",", index=False, encoding=encoding)
    read = pandas.read_csv(path, sep=delimiter, decimal=",", encoding=encoding)
    said = {"encoding": encoding} if encoding == "cp1252" else {}
    data = load(path, **said)
    points = tmp_path / "points.csv"
    read.to_csv(points, index=False)
    assert np.allclose(all_rows(data), all_rows(load(points)), atol=1e-6)
    assert load(path, **said, decimal=",").sha256 == data.sha256
    words = dict(data.notes)["format"]
    assert "a comma before decimals (3,14)" in words
    assert ("encoding" in words) == (encoding != "utf-8")
    assert ("between cells" in words) == (delimiter != ",")
    assert "format" not in dict(load(points).notes)


def test_new_rows_are_read_with_the_comma_of_training_or_as_numbers(tmp_path):
    path = tmp_path / "t.csv"
    frame().to_csv(path, sep=";", decimal=",", index=False)
    steps = load(path).preprocessing
    steps = preprocessing_from_json(json.loads(json.dumps(steps.to_json())), Path())
    new = frame(1)
    new.to_csv(tmp_path / "new.csv", sep=";", decimal=",", index=False)
    inputs = steps.read(tmp_path / "new.csv")
    from_numbers = steps.inputs(new.replace({np.nan: None}).to_dict("records"))
    assert torch.equal(inputs.part.columns["features"], from_numbers.part.columns["features"])
    assert torch.allclose(inputs.labels, from_numbers.labels)
    expected = (new["size"] - steps.features[0].mean) / steps.features[0].unit
    assert np.allclose(inputs.part.columns["features"][:, 0].numpy(), expected, atol=1e-5)
    labels = inputs.labels.double() * steps.label.unit + steps.label.mean
    assert np.allclose(labels.numpy(), new["price"], atol=0.1)
    new.to_csv(tmp_path / "points.csv", sep=";", index=False)
    with pytest.raises(DataError, match=r"row 1: .*'size' holds numbers.*\n.*--decimal \."):
        steps.read(tmp_path / "points.csv")
    again = steps.with_reading(decimal=".").read(tmp_path / "points.csv")
    assert torch.equal(again.part.columns["features"], inputs.part.columns["features"])


def table(tmp_path, columns, delimiter=";", rows=60):
    """A table whose columns repeat the given cells, with other cells to make rows differ."""
    path = tmp_path / "t.csv"
    names = [*columns, "n", "label"]
    lines = [delimiter.join(names)]
    for i in range(rows):
        cells = [cells[i % len(cells)] for cells in columns.values()]
        lines.append(delimiter.join([*(f'"{c}"' for c in cells), str(i), "ab"[i % 2]]))
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize(
    ("columns", "delimiter", "message"),
    [
        ({"x": ["1.234,5", "3,5"]}, ";", "separators of thousands: '1.234,5' in .* line 2 of"),
        (
            {"x": ["3", "1 234"]},
            ";",
            "separators of thousands: '1 234' in the column 'x' at line 3",
        ),
        ({"x": ["1,234,567", "3"]}, ",", r"separators of thousands[\s\S]*write them without"),
        ({"x": ["1'234.5"]}, ",", "separators of thousands"),
        ({"x": ["3,14", "3.14"]}, ";", r"in two ways: '3,14' at line 2 of .* and '3.14' at line 3"),
        (
            {"x": ["1,234", "7"]},
            ";",
            r"a comma means in '1,234'[\s\S]*1.234, .*--decimal ,\n  1234,",
        ),
        ({"x": ["1,234", "7"]}, ",", "not clear what a comma means"),
        ({"x": ["1.234", "7"]}, ";", r"a point means in '1.234'[\s\S]*--decimal \.\n  1234, with"),
        ({"x": ["3,14"], "y": ["1.234"]}, ";", "not clear what a point means"),
        (
            {"x": ["3,14"], "y": ["2.5"]},
            ";",
            "written with a comma, and other columns have a point",
        ),
    ],
)
def test_numbers_that_would_be_read_wrongly_are_refused(tmp_path, columns, delimiter, message):
    with pytest.raises(DataError, match=message):
        find_task(str(table(tmp_path, columns, delimiter)))


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"x": ["3,14"]}, {"decimal": "."}, r"with a comma, and --decimal \. was given"),
        ({"x": ["3.14"]}, {"decimal": ","}, "with a point, and --decimal , was given"),
        ({"x": ["1.234"]}, {"decimal": ","}, "with a point, and --decimal , was given"),
    ],
)
def test_a_sign_that_is_set_and_not_there_is_refused(tmp_path, columns, options, message):
    with pytest.raises(DataError, match=message):
        find_task(str(table(tmp_path, columns)), data_options=DataOptions(**options))


@pytest.mark.parametrize(
    ("columns", "options", "means"),
    [
        ({"x": ["1,234", "7,5"]}, {}, (1.234 + 7.5) / 2),
        ({"x": ["1,234", "7"]}, {"decimal": ","}, (1.234 + 7) / 2),
        ({"x": ["1.234", "7"]}, {"decimal": "."}, (1.234 + 7) / 2),
        ({"x": ["1.234", "7.25"]}, {}, (1.234 + 7.25) / 2),
        ({"x": ["1.234"], "y": ["3,14"]}, {"feature_columns": ("y", "n")}, 3.14),
        ({"x": ["1 234"], "y": ["3,14"]}, {"feature_columns": ("y", "n")}, 3.14),
        ({"x": ["2.5"], "y": ["3,14"]}, {"feature_columns": ("x", "n")}, 2.5),
        ({"x": ["2.5"], "y": ["3,14"]}, {"feature_columns": ("y", "n"), "decimal": ","}, 3.14),
    ],
)
def test_what_is_shown_or_said_decides(tmp_path, columns, options, means):
    path = table(tmp_path, columns)
    data = find_task(str(path), data_options=DataOptions(**options)).load()
    cells = next(f for f in data.preprocessing.features if f.name in columns)
    values = sorted(
        {cells.mean + cells.unit * v for v in data.train.columns["features"][:, 0].tolist()}
    )
    assert sum(values) / len(values) == pytest.approx(means, rel=1e-4)


def test_values_of_texts_have_a_decimal_comma_too(tmp_path):
    path = tmp_path / "t.csv"
    lines = [f"a text number {i};{i / 4:.2f}".replace(".", ",") for i in range(80)]
    path.write_text("\n".join(["text;label", *lines]))
    task = find_task(str(path))
    data = task.load()
    assert task.kind == "regression"
    values = [
        value
        for part in (data.train, data.validation, data.test)
        for value in (part.columns["labels"] * data.train.unit + data.mean).tolist()
    ]
    assert sorted(values) == pytest.approx([i / 4 for i in range(80)], abs=1e-4)
    labels = data.preprocessing.inputs([{"text": "a", "label": "2,50"}]).labels
    assert labels.item() * data.train.unit + data.mean == pytest.approx(2.5, abs=1e-5)


@pytest.mark.parametrize("word", ["NA", "?", "", "nan"])
def test_a_value_that_is_not_known_is_no_label(tmp_path, word):
    path = tmp_path / "t.csv"
    lines = [f"{i},{i / 3 if i % 5 else word}" for i in range(100)]
    path.write_text("\n".join(["x,y", *lines]))
    task = find_task(str(path))
    data = task.load()
    assert task.kind == "regression"
    assert sum(map(len, (data.train, data.validation, data.test))) == 80
    assert dict(data.notes)["left out"] == "20 rows without a label are left out"


def test_a_word_among_numbers_is_named_with_its_line(tmp_path):
    path = table(tmp_path, {"x": ["1", "2", "old", "3"]}, rows=400)
    rows = path.read_text().splitlines()
    rows = [
        rows[0],
        *(line.replace('"', "").replace("1;", f"{i};", 1) for i, line in enumerate(rows[1:])),
    ]
    path.write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"column 'x' holds numbers, and 'old' at line 4 of"):
        find_task(str(path), data_options=DataOptions(feature_columns=("x",)))
