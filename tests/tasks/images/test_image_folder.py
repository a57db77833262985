import shutil

import pytest
import torch
from PIL import Image

from dropsmith.errors import DataError
from dropsmith.tasks import find_task
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.images.image_folder import read_image_folder

RED, GREEN = (255, 0, 0), (0, 128, 0)


def picture(path, colour, number=0, size=(40, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    # A corner makes every picture different.
    image = Image.new("RGB", size, colour)
    image.paste((4 * number, 7, 7), (0, 0, 12, 12))
    image.save(path)


@pytest.fixture
def folder(tmp_path):
    for number in range(60):
        picture(tmp_path / "green" / f"{number}.png", GREEN, number)
        picture(tmp_path / "red" / f"{number}.png", RED, number, size=(32, 32))
    return tmp_path


def test_pictures_of_any_size_become_squares_in_their_class(folder):
    data = find_task("images").load(folder)
    assert data.names == ("green", "red")
    assert sum(len(p) for p in (data.train, data.validation, data.test)) == 120
    for part in (data.train, data.validation, data.test):
        middle, labels = part.columns["image"][:, :, 16, 16], part.columns["labels"]
        assert part.columns["image"].shape[1:] == (3, 32, 32)
        colours = torch.tensor([GREEN, RED]) / 255
        torch.testing.assert_close(middle, colours[labels])


def test_copies_of_a_picture_are_never_on_two_sides(folder):
    for name in ("green", "red"):
        for path in list((folder / name).iterdir()):
            shutil.copy(path, path.with_name(f"copy of {path.name}"))
    data = find_task("images").load(folder)
    held = {row.numpy().tobytes() for row in data.test.columns["image"]}
    assert not held & {row.numpy().tobytes() for row in data.train.columns["image"]}


def test_parts_that_the_folder_has_are_kept(tmp_path):
    for part, count in (("train", 4), ("val", 3), ("test", 2)):
        for number in range(count):
            picture(tmp_path / part / "green" / f"{number}.png", GREEN, number)
            picture(tmp_path / part / "red" / f"{number}.png", RED, number)
    data = find_task("images").load(tmp_path)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [8, 6, 4]


@pytest.mark.parametrize("names", [("Train", "VALID", "Test"), ("training", "dev", "test")])
def test_parts_are_known_by_their_names_in_any_case(tmp_path, names):
    for part, count in zip(names, (4, 3, 2), strict=True):
        for number in range(count):
            picture(tmp_path / part / "green" / f"{number}.png", GREEN, number)
            picture(tmp_path / part / "red" / f"{number}.png", RED, number)
    data = find_task("images").load(tmp_path)
    assert [len(p) for p in (data.train, data.validation, data.test)] == [8, 6, 4]


def test_two_folders_for_one_part_are_refused(tmp_path):
    for part in ("train", "val", "valid", "test"):
        picture(tmp_path / part / "green" / "1.png", GREEN)
    with pytest.raises(DataError, match="folders val and valid, which mean the same part"):
        find_task("images").load(tmp_path)


def test_a_class_without_pictures_is_refused_unless_another_part_has_some(tmp_path):
    for part in ("train", "validation", "test"):
        for name, colour in (("green", GREEN), ("red", RED)):
            picture(tmp_path / part / name / "1.png", colour)
    (tmp_path / "test" / "red" / "1.png").unlink()
    data = find_task("images").load(tmp_path)
    assert (data.names, len(data.test)) == (("green", "red"), 1)
    (tmp_path / "test" / "blue").mkdir()
    with pytest.raises(DataError, match="the class 'blue' holds no pictures"):
        read_image_folder(tmp_path, 1)


def test_a_class_without_pictures_is_refused_where_a_hash_makes_the_parts(folder):
    (folder / "blue").mkdir()
    with pytest.raises(DataError, match="the class 'blue' holds no pictures"):
        read_image_folder(folder, 2)


def test_bounds_are_of_each_picture_and_of_all_that_is_kept(folder):
    with pytest.raises(DataError, match=r"it is 40 × 20 and holds more than 799 pixels"):
        read_image_folder(folder, bounds=Bounds(pixels=799))
    size = 4 * 3 * 32 * 32 * 120
    with pytest.raises(DataError, match=f"holds more than {size - 1:,} bytes of pixels"):
        read_image_folder(folder, bounds=Bounds(picture_bytes=size - 1))
    assert len(read_image_folder(folder, bounds=Bounds(picture_bytes=size)).names) == 2


def test_a_picture_in_two_classes_keeps_both_labels_in_one_part(folder):
    before = find_task("images").load(folder)
    shutil.copy(folder / "red" / "7.png", folder / "green" / "copy.png")
    after = read_image_folder(folder, bounds=Bounds(rows=1))
    grown = [
        len(after_part) - len(before_part)
        for after_part, before_part in zip(
            (after.train, after.validation, after.test),
            (before.train, before.validation, before.test),
            strict=True,
        )
    ]
    assert sorted(grown) == [0, 0, 1]
    part = (after.train, after.validation, after.test)[grown.index(1)]
    pixels = torch.stack([row.flatten() for row in part.columns["image"]])
    copies = (pixels[:, None] == pixels).all(2).sum(1) == 2
    assert sorted(part.columns["labels"][copies].tolist()) == [0, 1]


def test_train_and_test_without_validation_is_not_mistaken_for_two_classes(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "green" / "1.png", GREEN)
    with pytest.raises(DataError, match="none for validation"):
        find_task("images").load(tmp_path)


def test_a_path_is_a_task_of_its_own(folder):
    task = find_task(str(folder))
    assert task.name == str(folder)
    assert len(task.load(limit=10).train) == 10


def test_a_limit_is_balanced(folder):
    few = find_task("images").load(folder, 20)
    assert few.train.columns["labels"].bincount().tolist() == [10, 10]


def test_a_picture_that_cannot_be_read_is_named(folder):
    (folder / "red" / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"cannot read the picture .*red/broken.jpg"):
        find_task("images").load(folder)


def test_one_class_no_pictures_no_folder_each_say_so(tmp_path):
    with pytest.raises(DataError, match=r"no pictures in[\s\S]*<class>/<picture>"):
        find_task("images").load(tmp_path)
    picture(tmp_path / "red" / "1.png", RED)
    with pytest.raises(DataError, match=r"only one class in .*: red"):
        find_task("images").load(tmp_path)
    with pytest.raises(DataError, match="no folder"):
        find_task("images").load(tmp_path / "gone")
    with pytest.raises(DataError, match="--data DIR"):
        find_task("images").load()
