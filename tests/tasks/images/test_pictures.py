import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from dropsmith.compare import Design, pick
from dropsmith.errors import DataError
from dropsmith.rng import Key
from dropsmith.tasks import Budget, find_task
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.images.picture_reader import PictureReader
from dropsmith.tasks.images.pictures import LEAST_AREA, WIDEST, Pictures, _cuts, _middle
from dropsmith.train import task_and_data, train

TASK = find_task("imagenet-64")


def ramp(width, height):
    """Red grows to the right and green downwards, so that a cut can be read off a picture."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :].round()
    pixels[..., 1] = np.linspace(0, 255, height)[:, None].round()
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path):
    generator = np.random.default_rng(0)
    for part, count in (("train", 20), ("val", 3)):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                size = (40 + i, 30 + 2 * i)
                pixels = generator.integers(0, 255, (*size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{i:02d}.png")
    return tmp_path


def test_what_is_scored_is_the_middle_of_a_picture(tmp_path):
    ramp(300, 200).save(tmp_path / "one.png")
    found = PictureReader().read_square(tmp_path / "one.png", 35, partial(_middle, 0))
    side = 200 * 224 / 256
    assert found.shape == (3, 35, 35)
    for channel, length, lines in ((0, 300, found[0].mean(0)), (1, 200, found[1].mean(1))):
        # Middles of the first and last of 35 pixels that the square is divided into.
        ends = [(length / 2 + at * side * (0.5 - 0.5 / 35)) / (length - 1) for at in (-1, 1)]
        assert float(lines[0]) == pytest.approx(ends[0], abs=0.01), channel
        assert float(lines[-1]) == pytest.approx(ends[1], abs=0.01), channel


def test_random_cuts_are_in_the_picture_with_the_area_and_shape_of_the_paper():
    cut, count = _cuts(Key.of(0), 2000), 2000
    boxes = torch.tensor([cut(place, 400, 300) for place in range(count)], dtype=torch.float64)
    left, top, right, bottom = boxes.unbind(1)
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (right <= 400 + 1e-9).all()
    assert (bottom <= 300 + 1e-9).all()
    wide, high = right - left, bottom - top
    share, ratio = wide * high / (400 * 300), wide / high
    whole = (wide < 400 - 1e-6) & (high < 300 - 1e-6)
    assert (share <= 1 + 1e-9).all()
    assert (share[whole] >= LEAST_AREA - 1e-9).all()
    assert ((ratio[whole] <= WIDEST + 1e-9) & (ratio[whole] >= 1 / WIDEST - 1e-9)).all()
    # Small cuts have room: their area is uniform. Five standard deviations of the count.
    below = float((share < 0.3).double().mean())
    chance = (0.3 - LEAST_AREA) / (1 - LEAST_AREA)
    assert abs(below - chance) <= 5 * (chance * (1 - chance) / count) ** 0.5
    small = share < 0.3
    where = (left / (400 - wide))[small].mean()
    assert abs(float(where) - 0.5) <= 5 * (1 / 12 / int(small.sum())) ** 0.5


def test_a_step_sees_the_same_cuts_whatever_came_before_it(folder):
    train = TASK.load(folder).train
    first = train.batch(3, seed=0, batch_size=5).columns
    train.batch(1, seed=0, batch_size=5)
    again = train.batch(3, seed=0, batch_size=5).columns
    assert torch.equal(first["image"], again["image"])
    assert first["image"].shape == (5, 3, 64, 64)
    assert not torch.equal(first["image"], train.batch(3, seed=1, batch_size=5).columns["image"])


def test_the_published_validation_pictures_are_the_test_and_none_is_trained_on(folder):
    data = TASK.load(folder)
    parts = {
        "train": data.train.part.files,
        "validation": data.validation.files,
        "test": data.test.files,
    }
    assert {part: len(files) for part, files in parts.items()} == {
        "train": 36,
        "validation": 4,
        "test": 6,
    }
    assert all("val" in file.parts for file in parts["test"])
    assert len({file for files in parts.values() for file in files}) == 46
    assert data.validation.labels.bincount().tolist() == [2, 2]
    for file, label in zip(parts["train"], data.train.part.labels.tolist(), strict=True):
        assert file.parent.name == data.names[label]


def test_another_picture_is_another_hash(folder):
    before = TASK.load(folder, 30).sha256
    ramp(20, 20).save(folder / "val" / "cat" / "zz.png")
    from dropsmith.tasks.images import imagenet

    imagenet._read.cache_clear()
    assert TASK.load(folder, 30).sha256 != before


def test_a_small_network_is_trained_on_files_and_then_on_all_of_them(folder, tmp_path):
    design = Design(
        task=TASK,
        methods=pick(["blocks"], TASK),
        budget=Budget(epochs=1, batch_size=8, learning_rate=1e-3),
        data=str(folder),
    )
    setup = design.setup("blocks", {"rate": 0.1}, 0)
    record = train(setup, tmp_path / "run")
    assert {"test_accuracy", "validation_nll"} <= record.scores.keys()
    _, data = task_and_data(replace(setup, whole=True))
    assert len(data.train) == 40
    assert len(set(data.train.part.files)) == 40


def test_what_is_missing_or_no_picture_is_named(tmp_path):
    with pytest.raises(DataError, match=r"reads a folder[\s\S]*--data DIR"):
        TASK.load()
    with pytest.raises(DataError, match=r"no pictures in .*train[\s\S]*looked for: train"):
        TASK.load(tmp_path)
    (tmp_path / "no.png").write_bytes(b"no picture")
    part = Pictures((tmp_path / "no.png",), torch.tensor([0]), 8)
    with pytest.raises(DataError, match=r"cannot read the picture .*no\.png"):
        part.rows(slice(0, 1))


def test_a_link_to_nothing_is_refused_before_anything_is_trained(folder):
    (folder / "val" / "cat" / "zz.png").symlink_to("gone")
    with pytest.raises(DataError, match=r"val/cat/zz\.png is a link that leads nowhere"):
        TASK.load(folder, 31)


def test_a_class_without_pictures_is_refused(folder):
    (folder / "train" / "bird").mkdir()
    with pytest.raises(DataError, match="the class 'bird' holds no pictures"):
        TASK.load(folder, 32)


def test_hidden_folders_are_no_classes(folder):
    for part in ("train", "val"):
        (folder / part / ".ipynb_checkpoints").mkdir()
        ramp(20, 20).save(folder / part / ".ipynb_checkpoints" / "1.png")
    assert TASK.load(folder, 33).names == ("cat", "dog")


def test_a_path_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match=r"no folder .*loop"):
        TASK.load(tmp_path / "loop")


def test_pictures_are_read_within_the_bounds_of_their_task(folder):
    task = replace(TASK, data_options=DataOptions(bounds=Bounds(pixels=100)))
    with pytest.raises(DataError, match=r"holds more than 100 pixels[\s\S]*--bound pixels=200"):
        task.load(folder).train.rows(slice(0, 1))


def test_any_name_of_a_file_has_a_hash(folder):
    before = TASK.load(folder, 34).sha256
    os.rename(folder / "val" / "cat" / "00.png", os.fsencode(folder / "val" / "cat") + b"/\xff.png")
    changed = replace(TASK, data_options=DataOptions(bounds=Bounds(rows=1))).load(folder, 34)
    assert changed.sha256 != before
    assert changed.test.rows(slice(0, 3))["image"].shape == (3, 3, 64, 64)


def test_pictures_of_16_bits_are_scaled_where_they_are_cut(tmp_path, capsys):
    x = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file in files:
        Image.fromarray(x).save(file)
    part = Pictures(files, torch.tensor([0, 1, 0]), 56)
    middle = torch.from_numpy(x[4:60, 4:60].astype(np.float32) / 65535)
    for image in part.rows(slice(0, 3))["image"]:
        torch.testing.assert_close(image, middle.expand(3, 56, 56))
    assert capsys.readouterr().err.count("read as value / 65,535") == 1
    part.rows(slice(0, 3))
    assert capsys.readouterr().err == ""
