"""Texts with numbers beside each: both are those of one row, in training and in new rows."""

import json
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch

import dropsmith as ds
from dropsmith.errors import DataError
from dropsmith.tasks import DataOptions, describe, find_task, preprocessing_from_json
from run_folder.finished import finished_run

PARTS = ("train", "validation", "test")
OPTIONS = DataOptions(text_columns=("notes",), feature_columns=("age", "income", "city"))


def frame(count=200, values=False):
    draw = np.random.default_rng(0)
    words = draw.choice(["good", "bad", "film", "plot", "so", "very"], (count, 4))
    age = draw.integers(18, 90, count)
    return pandas.DataFrame(
        {
            "notes": [f"{' '.join(row)} n{a}" for row, a in zip(words, age, strict=True)],
            "age": age,
            "income": np.where(
                draw.random(count) < 0.2, np.nan, draw.normal(3e4, 9e3, count).round()
            ),
            "city": draw.choice(["Oslo", "Rome"], count),
            "label": draw.normal(size=count).round(3)
            if values
            else draw.choice(["no", "yes"], count),
        }
    )


@pytest.fixture(scope="module", params=["classes", "values"])
def path(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("mixed") / "t.csv"
    frame(values=request.param == "values").to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def task(path):
    return find_task(str(path), data_options=OPTIONS)


@pytest.fixture(scope="module")
def data(task):
    return task.load()


def test_text_and_numbers_of_a_row_stay_together(data):
    age = data.preprocessing.numbers.features[0]
    count = 0
    for part in PARTS:
        columns = getattr(data, part).columns
        ages = (columns["features"][:, 0] * age.unit + age.mean).round().int().tolist()
        for tokens, years in zip(columns["tokens"], ages, strict=True):
            words = [data.vocabulary[token] for token in tokens.tolist() if token]
            assert words[-1] in (f"n{years}", "<unk>")
            count += 1
    assert count == 200


def test_numbers_are_standardised_by_training_as_pandas_does_it(path, data):
    table = pandas.read_csv(path)
    features = data.train.columns["features"].double().numpy()
    assert features.shape[1] == 1 + 2 + 2
    assert np.abs(features[:, 0].mean()) < 1e-6
    assert features[:, 0].std() == pytest.approx(1, abs=1e-6)
    income, known = data.preprocessing.numbers.features[1], features[:, 2] == 0
    values = features[known, 1] * income.unit + income.mean
    assert set(values.round().astype(int)) <= set(table.income.dropna().astype(int))
    assert 0 < (~known).sum() < len(known)


def test_equal_texts_are_in_one_part_whatever_their_numbers(tmp_path):
    table = frame(60)
    twice = pandas.concat([table, table.assign(age=table.age + 1)])
    twice.to_csv(tmp_path / "t.csv", index=False)
    data = find_task(str(tmp_path / "t.csv"), data_options=OPTIONS).load()
    rows = [
        {tuple(row.tolist()) for row in getattr(data, part).columns["tokens"]} for part in PARTS
    ]
    known = data.train.columns["tokens"] != 1
    assert sum(len(getattr(data, part)) for part in PARTS) == 120
    assert known.any()
    whole = [{row for row in part if 1 not in row} for part in rows]
    assert not whole[0] & whole[2]
    assert all(len(getattr(data, part)) % 2 == 0 for part in PARTS)


def test_new_rows_become_what_training_rows_became(path, data):
    steps = preprocessing_from_json(json.loads(json.dumps(data.preprocessing.to_json())), Path())
    assert steps == data.preprocessing
    from_file = steps.read(path)
    table = pandas.read_csv(path).replace({np.nan: None})
    from_rows = steps.inputs(table.to_dict("records"))
    for name, column in from_file.part.columns.items():
        assert torch.equal(column, from_rows.part.columns[name])
    assert torch.equal(from_file.labels, from_rows.labels)
    train = {row.numpy().tobytes() for row in data.train.columns["features"]}
    assert train <= {row.numpy().tobytes() for row in from_file.part.columns["features"]}
    new = steps.inputs([{"notes": "zzz", "age": "?", "income": 1, "city": "Lima"}]).part.columns
    assert new["tokens"].tolist() == [[1]]
    assert new["features"][0, 0] == 0
    assert new["features"][0, 3:].tolist() == [0, 0]
    assert steps.example().tensors().keys() == new.keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": "old"}, "row 1: the column 'age' holds numbers, and 'old' here"),
        ({"notes": None}, "row 1 has nothing in the column 'notes'"),
    ],
)
def test_a_cell_that_cannot_be_read_is_one_sentence(data, change, message):
    row = {"notes": "a", "age": 1, "income": 1, "city": "Oslo"} | change
    with pytest.raises(DataError, match=message):
        data.preprocessing.inputs([row])
    with pytest.raises(DataError, match="row 1 has no column 'city'"):
        data.preprocessing.inputs([{"notes": "a", "age": 1, "income": 1}])


def test_what_was_found_is_said(task, data):
    lines = describe(task, data).splitlines()
    columns = next(line for line in lines if line.startswith("columns"))
    assert columns.split(maxsplit=1)[1].startswith(
        "text: notes; numbers: age, income; categories: city (2 values); label: label"
    )
    assert any(line.startswith("missing") and "income" in line for line in lines)
    assert any(line.startswith("text length") for line in lines)


def test_a_folder_predicts_new_rows_without_the_data(path, tmp_path):
    run, _ = finished_run(str(path), data_options=OPTIONS)
    run.write(tmp_path / "run")
    new = frame().drop(columns="label")[:20]
    columns = run.data.preprocessing.inputs(
        new.replace({np.nan: None}).to_dict("records")
    ).part.columns
    with torch.no_grad():
        scores = run.model.eval()(**columns)
    predictor = ds.load(tmp_path / "run")
    mean = predictor.predict(new, samples=0).mean
    if run.kind == "classification":
        torch.testing.assert_close(mean, scores.softmax(-1))
    else:
        expected = scores[:, 0] * run.data.train.unit + run.data.mean
        torch.testing.assert_close(mean.view(-1), expected)
    assert "tabular" not in (tmp_path / "run" / "README.md").read_text()


def test_a_pair_of_texts_has_numbers_beside_it_too(tmp_path):
    table = frame(80).rename(columns={"notes": "question"})
    table["answer"] = [f"yes {i}" for i in range(80)]
    table.to_csv(tmp_path / "t.csv", index=False)
    pair = DataOptions(text_columns=("question", "answer"), feature_columns=("age",))
    task = find_task(str(tmp_path / "t.csv"), data_options=pair)
    data = task.load()
    assert set(data.train.columns) == {"tokens", "second", "features", "labels"}
    batch = data.train.rows(slice(0, 3))
    batch.pop("labels")
    assert task.model(data)(**batch).shape == (3, 2)


@pytest.mark.slow
def test_a_label_that_takes_text_and_number_together_is_learnt(tmp_path):
    draw = np.random.default_rng(1)
    good, x = draw.random(400) < 0.5, draw.normal(size=400)
    words, more = np.where(good, "good", "bad"), draw.choice([*"abcdef"], (400, 5))
    pandas.DataFrame(
        {
            "text": [f"{w} {' '.join(row)}" for w, row in zip(words, more, strict=True)],
            "x": x,
            "label": np.where(good == (x > 0), "yes", "no"),
        }
    ).to_csv(tmp_path / "t.csv", index=False)
    both = DataOptions(feature_columns=("x",))
    task = find_task("text", tmp_path / "t.csv", both)
    data = task.load(tmp_path / "t.csv")
    torch.manual_seed(0)
    model = task.model(data)
    optimiser = torch.optim.AdamW(model.parameters(), 6e-3)
    for step in range(1, 61):
        batch = data.train.batch(step, seed=0, batch_size=64).columns
        inputs = {name: column for name, column in batch.items() if name != "labels"}
        loss = task.loss(model(**inputs), batch).mean.value
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    test = data.test.rows(slice(0, None))
    labels = test.pop("labels")
    with torch.no_grad():
        assert (model(**test).argmax(-1) == labels).float().mean() > 0.85
