"""Pictures and tables of numbers: what a folder predicts is what the model in memory does."""

import csv
import random
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import dropsmith as ds
from dropsmith.errors import DropsmithError
from run_folder.finished import finished_run


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A run on pictures that are wider than high, and the folder they are in."""
    place = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name, low in (("dark", 0), ("bright", 120), ("middle", 60)):
        (place / "photos" / name).mkdir(parents=True)
        for i in range(16):
            pixels = generator.integers(low, low + 130, (9, 14, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / "photos" / name / f"{i}.png")
    run, _ = finished_run(str(place / "photos"))
    run.write(place / "run")
    return run, place / "run", place / "photos"


@pytest.fixture(scope="module", params=["classification", "regression"])
def numbers(request, tmp_path_factory):
    """A run on a table of numbers and a category, and the table."""
    place, rng = tmp_path_factory.mktemp("numbers"), random.Random(0)
    with (place / "flats.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["size", "rooms", "city", "label"])
        for _ in range(120):
            size, rooms = rng.uniform(20, 200), rng.randint(1, 6)
            city = rng.choice(["Rome", "Oslo", "Lima"])
            price = 3 * size + 20 * rooms + (50 if city == "Oslo" else 0)
            label = ("cheap", "dear")[price > 400] if request.param == "classification" else price
            table.writerow([f"{size:.2f}", rooms, city, label])
    run, _ = finished_run(str(place / "flats.csv"))
    assert run.kind == request.param
    run.write(place / "run")
    return run, place / "run", place / "flats.csv"


def forward(run, part, name):
    with torch.no_grad():
        return run.model.eval()(part.columns[name])


def test_pictures_of_the_test_part_have_the_probabilities_of_the_model_in_memory(
    pictures, tmp_path
):
    run, folder, photos = pictures
    expected = forward(run, run.data.test, "image").softmax(-1)
    new, moved = (
        shutil.copytree(photos, tmp_path / "new"),
        shutil.move(shutil.copytree(folder, tmp_path / "copied"), tmp_path / "moved"),
    )
    predictor = ds.load(moved)
    found = predictor.predict(new, samples=0)
    assert len(found.mean) == 48
    assert found.names[0] == "bright/0.png"
    inputs = predictor.read(new)
    read, test = inputs.part.columns["image"], run.data.test.columns
    assert len(expected) > 3
    for image, label, probabilities in zip(test["image"], test["labels"], expected, strict=True):
        (place,) = (i for i, other in enumerate(read) if torch.equal(image, other))
        torch.testing.assert_close(found.mean[place], probabilities)
        assert found.names[place].split("/")[0] == predictor.names[int(label)]
    assert [predictor.names[i] for i in inputs.labels.tolist()] == [
        name.split("/")[0] for name in inputs.names
    ]


def test_one_picture_and_a_folder_without_classes_are_predicted_too(pictures, tmp_path):
    _, folder, photos = pictures
    predictor = ds.load(folder)
    whole = predictor.predict(photos, samples=0)
    one = predictor.predict(photos / "dark" / "3.png", samples=0)
    assert one.names == ("3.png",)
    place = whole.names.index("dark/3.png")
    torch.testing.assert_close(one.mean[0], whole.mean[place])
    flat = tmp_path / "flat"
    shutil.copytree(photos / "dark", flat)
    found = predictor.predict(flat, samples=0)
    assert set(found.names) == {f"{i}.png" for i in range(16)}
    assert predictor.read(flat).labels is None
    with pytest.raises(DropsmithError, match="no file or folder"):
        predictor.predict(tmp_path / "nothing")


def test_samples_of_pictures_are_those_of_the_model_in_memory(pictures):
    run, folder, photos = pictures
    predictor = ds.load(folder)
    inputs = predictor.read(photos)
    found = predictor.predict(photos, samples=7, seed=2)
    batch = {"image": inputs.part.columns["image"]}
    expected = ds.predict(run.model, batch, 7, plan=run.plan, seed=2)
    torch.testing.assert_close(found.mean, expected.mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        found.mutual_information, expected.mutual_information, rtol=0, atol=1e-6
    )


def test_rows_of_numbers_have_the_predictions_of_the_model_in_memory(numbers, tmp_path):
    run, folder, table = numbers
    new = shutil.copy(table, tmp_path / "new.csv")
    predictor = ds.load(shutil.copytree(folder, tmp_path / "elsewhere"))
    found = predictor.predict(new, samples=0)
    (name,) = (n for n in run.data.test.columns if n != "labels")
    scores = forward(run, run.data.test, name)
    if run.kind == "classification":
        expected = scores.softmax(-1)
    else:
        with table.open(newline="") as file:
            prices = torch.tensor([float(row["label"]) for row in csv.DictReader(file)])
        labels = [
            getattr(run.data, part).columns["labels"] for part in ("train", "validation", "test")
        ]
        # Mean and unit are those by which labels of all parts become the prices of the table.
        values = torch.cat(labels) * predictor.description.unit + predictor.description.mean
        torch.testing.assert_close(values.sort().values, prices.sort().values, rtol=1e-4, atol=0.01)
        expected = scores * predictor.description.unit + predictor.description.mean
    assert len(found.mean) == 120
    distances = torch.cdist(expected.double(), found.mean.double())
    assert distances.min(1).values.max() < 1e-4
    scored = predictor.scores(found, predictor.read(new))
    assert scored["rows"] == 120


def test_noise_of_numbers_is_the_plans(numbers):
    run, folder, table = numbers
    predictor = ds.load(folder)
    inputs = predictor.read(table)
    found = predictor.predict(table, samples=6, batch_size=200)
    expected = ds.predict(run.model, dict(inputs.part.columns), 6, plan=run.plan, kind=run.kind)
    unit, mean = predictor.description.unit, predictor.description.mean
    torch.testing.assert_close(found.mean, expected.mean * unit + mean, rtol=1e-5, atol=1e-5)
    assert (found.variance > 0).all()


def test_a_row_that_lacks_a_column_is_refused_by_its_name(numbers):
    _, folder, _ = numbers
    with pytest.raises(DropsmithError, match="rooms"):
        ds.load(folder).predict([{"size": 30, "city": "Rome"}])
