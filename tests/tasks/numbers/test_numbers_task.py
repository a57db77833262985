"""Tables of numbers and categories: what the model is given is what pandas makes of the table."""

import json
import math
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks import Data, DataOptions, find_task, preprocessing_from_json

COUNT = 400


@pytest.fixture(scope="module")
def frame() -> pandas.DataFrame:
    draw = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "userId": [f"u{i}" for i in range(COUNT)],
            "age": draw.integers(18, 90, COUNT),
            "height": draw.normal(170, 9, COUNT).round(2),
            "income": np.where(draw.random(COUNT) < 0.2, np.nan, draw.normal(3e4, 9e3, COUNT)),
            "colour": draw.choice(["red", "green", "blue"], COUNT),
            "label": draw.choice(["no", "yes"], COUNT),
        }
    )
    return pandas.concat(
        [frame, frame.iloc[:80].assign(userId=[f"v{i}" for i in range(80)])], ignore_index=True
    )


@pytest.fixture(scope="module", params=["csv", "tsv", "jsonl", "json", "parquet", "csv.gz"])
def path(request, frame, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("people") / f"people.{request.param}"
    if request.param == "parquet":
        frame.to_parquet(path)
    elif request.param.startswith("json"):
        frame.to_json(path, orient="records", lines=request.param == "jsonl", double_precision=15)
    else:
        frame.to_csv(path, index=False, sep="\t" if request.param == "tsv" else ",")
    return path


@pytest.fixture(scope="module")
def data(path: Path) -> Data:
    return find_task(str(path)).load()


PARTS = ("train", "validation", "test")


def rows_of(data: Data, part: str) -> np.ndarray:
    columns = getattr(data, part).tensors()
    return torch.cat([columns["features"], columns["labels"][:, None]], 1).double().numpy()


def test_columns_are_standardised_by_training_as_pandas_does_it(data, frame):
    train = rows_of(data, "train")
    # age, height, income, its mark, and three colours
    assert train.shape[1] == 7 + 1
    assert np.abs(train[:, :2].mean(0)).max() < 1e-5
    assert np.abs(train[:, :2].std(0) - 1).max() < 1e-5
    known = train[:, 3] == 0
    assert abs(train[known, 2].mean()) < 1e-5
    assert abs(train[known, 2].std() - 1) < 1e-5
    assert (train[~known, 2] == 0).all()
    assert set(train[:, 4:7].sum(1)) == {1.0}


@pytest.mark.slow
def test_every_row_of_the_table_is_in_one_part_and_equal_rows_in_the_same(data, frame):
    """Undo the standardisation, and look each row of each part up in the table."""
    steps = data.preprocessing
    names = ["age", "height", "income"]
    by_name = {feature.name: feature for feature in steps.features}
    seen: dict[tuple, set[str]] = {}
    count = 0
    for part in PARTS:
        for row in rows_of(data, part):
            count += 1
            values = [row[i] * by_name[n].unit + by_name[n].mean for i, n in enumerate(names)]
            income = math.nan if row[3] else values[2]
            colour = by_name["colour"].values[int(row[4:7].argmax())]
            key = (round(values[0]), round(values[1], 2), colour, data.names[int(row[7])])
            seen.setdefault(key, set()).add(part)
            matches = frame[(frame.age == key[0]) & (frame.colour == colour)]
            matches = matches[(matches.height - values[1]).abs() < 0.005]
            assert key[3] in set(matches.label)
            close = (matches.income - income).abs() < 1
            assert close.any() or (math.isnan(income) and matches.income.isna().any())
    assert count == len(frame)
    assert all(len(parts) == 1 for parts in seen.values())
    sizes = [len(getattr(data, part)) for part in PARTS]
    assert 0.6 < sizes[0] / count < 0.8
    assert min(sizes) > 30


def test_every_form_of_table_gives_the_same_examples(data, frame, tmp_path):
    frame.to_csv(tmp_path / "people.csv", index=False)
    assert find_task(str(tmp_path / "people.csv")).load().sha256 == data.sha256


def test_new_rows_become_what_training_rows_became(path, data, frame):
    steps = preprocessing_from_json(json.loads(json.dumps(data.preprocessing.to_json())), Path())
    assert steps == data.preprocessing
    inputs = steps.read(path)
    assert inputs.names == tuple(frame.userId)
    read = torch.cat([inputs.part.tensors()["features"], inputs.labels[:, None]], 1)
    stored = np.concatenate([rows_of(data, part) for part in PARTS])
    order = np.lexsort(stored.T)
    assert np.allclose(read.double().numpy()[np.lexsort(read.double().numpy().T)], stored[order])
    records = steps.inputs(frame.drop(columns="label").to_dict("records"))
    assert records.labels is None
    assert torch.allclose(records.part.tensors()["features"], inputs.part.tensors()["features"])


def test_what_training_did_not_have_is_the_mean_or_no_category(data):
    row = {"age": None, "height": "", "income": "NA", "colour": "violet"}
    features = data.preprocessing.inputs([row]).part.tensors()["features"]
    assert features.tolist() == [[0, 0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": "old"}, "row 1: the column 'age' holds numbers, and 'old' here"),
        ({"age": "1e999"}, "column 'age' holds numbers"),
        ({"age": "1,5"}, "column 'age' holds numbers, and '1,5' here\n.*--decimal ,"),
        ({"label": "perhaps"}, "row 1: the label 'perhaps' is no class"),
    ],
)
def test_a_cell_that_cannot_be_read_is_one_sentence(data, change, message):
    row = {"age": 1, "height": 1, "income": 1, "colour": "red"} | change
    with pytest.raises(DataError, match=message):
        data.preprocessing.inputs([row])
    with pytest.raises(DataError, match="row 1 has no column 'age'"):
        data.preprocessing.inputs([{"height": 1}])


def test_the_notes_say_what_was_found(data):
    notes = dict(data.notes)
    assert notes["columns"] == (
        "numbers: age, height, income; categories: colour (3 values); label: label (classes); "
        "id: userId"
    )
    assert notes["split"].startswith("by a hash of each row")
    assert "income" in notes["missing"]


def own_parts(folder: Path, names: tuple[str, ...]) -> Path:
    for number, name in enumerate(names):
        rows = pandas.DataFrame({"a": [1, 2, 3, 4] * 10, "b": range(40), "y": [number / 3] * 40})
        rows["y"] += rows.b / 7
        rows.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.mark.parametrize(
    "names", [("train", "valid", "test"), ("training", "dev", "testing"), ("Train", "val", "TEST")]
)
def test_own_parts_are_taken_as_they_are(tmp_path, names):
    task = find_task(str(own_parts(tmp_path, names)))
    data = task.load()
    assert task.kind == "regression"
    assert [len(getattr(data, part)) for part in PARTS] == [40, 40, 40]
    for number, part in enumerate(PARTS):
        labels = getattr(data, part).tensors()["labels"] * data.train.unit + data.mean
        expected = [number / 3 + i / 7 for i in range(40)]
        assert sorted(labels.tolist()) == pytest.approx(expected, abs=1e-4)


def test_validation_is_cut_from_training_where_it_is_missing(tmp_path):
    data = find_task(str(own_parts(tmp_path, ("train", "test")))).load()
    assert [len(getattr(data, part)) for part in PARTS] == [34, 6, 40]
    assert dict(data.notes)["split"].startswith(
        "train is train.csv; test is test.csv; validation is cut from training by a hash"
    )


def test_a_folder_whose_tables_say_no_part_is_asked_for_their_names(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv, b\.csv\n  call them train, valid and test"):
        find_task(str(own_parts(tmp_path, ("a", "b"))))


def test_a_regression_learns_a_line(tmp_path):
    draw = np.random.default_rng(1)
    x = draw.normal(size=(300, 2)).round(4)
    frame = pandas.DataFrame(
        {"a": x[:, 0], "b": x[:, 1], "y": (3 * x[:, 0] - x[:, 1] + 5).round(4)}
    )
    frame.to_csv(tmp_path / "line.csv", index=False)
    task = find_task(str(tmp_path / "line.csv"))
    data = task.load()
    torch.manual_seed(0)
    model = task.model(data)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(150):
        batch = data.train.rows(slice(0, None))
        loss = task.loss(model(batch["features"]), batch).mean.value
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    rows = data.test.rows(slice(0, None))
    with torch.no_grad():
        value = model(rows["features"])[:, 0] * data.train.unit + data.mean
    true = rows["labels"] * data.train.unit + data.mean
    assert float((value - true).abs().mean()) < 0.3


def test_columns_are_chosen_and_too_many_values_refused(tmp_path, frame):
    frame.to_csv(tmp_path / "p.csv", index=False)
    chosen = DataOptions(feature_columns=("height", "age"))
    data = find_task(str(tmp_path / "p.csv"), data_options=chosen).load()
    assert [f.name for f in data.preprocessing.features] == ["height", "age"]
    ids = DataOptions(feature_columns=("userId",), id_column="age")
    with pytest.raises(DataError, match="'userId' holds more than 100 values"):
        find_task(str(tmp_path / "p.csv"), data_options=ids).load()
    with pytest.raises(TaskError, match="does not take --image-size"):
        find_task(str(tmp_path / "p.csv"), data_options=DataOptions(image_size=(8, 8)))
