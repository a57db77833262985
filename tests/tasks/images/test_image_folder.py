import json
import shutil

import pytest
import torch
from PIL import Image

from dropsmith.errors import DataError
from dropsmith.tasks import DataOptions, find_task, preprocessing_from_json
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
        read_image_folder(folder, options=DataOptions(bounds=Bounds(pixels=799)))
    size = 4 * 3 * 32 * 32 * 120
    with pytest.raises(DataError, match=f"holds more than {size - 1:,} bytes of pixels"):
        read_image_folder(folder, options=DataOptions(bounds=Bounds(picture_bytes=size - 1)))
    enough = DataOptions(bounds=Bounds(picture_bytes=size))
    assert len(read_image_folder(folder, options=enough).names) == 2


def test_a_picture_in_two_classes_keeps_both_labels_in_one_part(folder):
    before = find_task("images").load(folder)
    shutil.copy(folder / "red" / "7.png", folder / "green" / "copy.png")
    after = read_image_folder(folder, options=DataOptions(bounds=Bounds(rows=1)))
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


@pytest.mark.parametrize(
    ("given", "missing"), [("test", "validation"), ("val", "test"), ("valid", "test")]
)
def test_a_part_that_is_missing_is_cut_from_training(tmp_path, given, missing):
    for number in range(40):
        for name, colour in (("green", GREEN), ("red", RED)):
            picture(tmp_path / "train" / name / f"{number}.png", colour, number)
            shutil.copy(
                tmp_path / "train" / name / f"{number}.png",
                tmp_path / "train" / name / f"copy of {number}.png",
            )
    picture(tmp_path / given / "green" / "1.png", GREEN, 50)
    data = find_task("images").load(tmp_path)
    cut = getattr(data, missing)
    kept = data.test if missing == "validation" else data.validation
    assert (len(data.train) + len(cut), len(kept)) == (160, 1)
    assert len(cut) > 4
    held = {row.numpy().tobytes() for row in cut.columns["image"]}
    assert not held & {row.numpy().tobytes() for row in data.train.columns["image"]}
    assert f"{missing} is cut from training" in dict(data.notes)["split"]


def classes_of(path, numbers):
    for number in numbers:
        picture(path / "green" / f"{number}.png", GREEN, number)
        picture(path / "red" / f"{number}.png", RED, number)
    return path


def test_folders_of_parts_may_be_named_and_pictures_in_several_are_counted(tmp_path):
    train = classes_of(tmp_path / "a", range(10))
    held = classes_of(tmp_path / "b", range(8, 12))
    test = classes_of(tmp_path / "c", range(11, 14))
    options = DataOptions(validation=held, test=str(test))
    data = find_task(str(train), data_options=options).load()
    assert [len(p) for p in (data.train, data.validation, data.test)] == [20, 8, 6]
    notes = dict(data.notes)
    assert notes["split"] == "train is a; validation is b; test is c"
    assert notes["repeated"] == (
        "4 of 8 validation pictures are in training too, 2 of 6 test pictures are in validation "
        "too, and are kept; --drop-repeats train or test leaves them out"
    )
    without = DataOptions(validation=held, test=str(test), drop_repeats="train")
    data = find_task(str(train), data_options=without).load()
    assert [len(p) for p in (data.train, data.validation, data.test)] == [16, 6, 6]
    picture(test / "green" / "20.png", GREEN, 20)
    again = find_task(str(train), data_options=options).load()
    assert len(again.test) == 7


def test_a_folder_that_is_named_twice_is_refused(tmp_path):
    classes_of(tmp_path / "train", range(3))
    classes_of(tmp_path / "val", range(3, 6))
    with pytest.raises(DataError, match=r"two folders are named for validation: .*val and .*val"):
        read_image_folder(tmp_path, options=DataOptions(validation=tmp_path / "val"))
    train = tmp_path / "train"
    with pytest.raises(DataError, match="is named for two parts: train and test"):
        read_image_folder(train, options=DataOptions(test=train))


def test_a_folder_with_training_alone_is_divided_and_a_class_may_be_called_train(tmp_path):
    classes_of(tmp_path / "one" / "train", range(30))
    data = find_task(str(tmp_path / "one")).load()
    assert data.names == ("green", "red")
    assert min(len(p) for p in (data.train, data.validation, data.test)) > 2
    for number in range(30):
        picture(tmp_path / "two" / "train" / f"{number}.png", GREEN, number)
        picture(tmp_path / "two" / "bus" / f"{number}.png", RED, number)
    assert find_task(str(tmp_path / "two")).load().names == ("bus", "train")


def test_pictures_keep_their_shape(tmp_path):
    """A wide picture of three stripes loses its outer ones, and is not squeezed."""
    for number in range(20):
        for name, colours in (("a", (RED, GREEN, RED)), ("b", (GREEN, RED, GREEN))):
            image = Image.new("RGB", (60, 20), (number, 0, 0))
            for place, colour in enumerate(colours):
                image.paste(colour, (20 * place, 0, 20 * place + 20, 20))
            image.paste((number, 1, 2), (29, 9, 31, 11))
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{number}.png")
    square = find_task(str(tmp_path), data_options=DataOptions(image_size=(20, 20))).load()
    for part in (square.train, square.validation, square.test):
        colours = torch.tensor([GREEN, RED]) / 255
        for corner in ((0, 0), (19, 19), (0, 19)):
            found = part.columns["image"][:, :, corner[0], corner[1]]
            torch.testing.assert_close(found, colours[part.columns["labels"]])
    task = find_task(str(tmp_path), data_options=DataOptions(image_size=(20, 60)))
    wide = task.load()
    assert wide.train.columns["image"].shape[1:] == (3, 20, 60)
    assert wide.sha256 != square.sha256
    with torch.no_grad():
        model = task.model(wide)
        assert model(wide.test.columns["image"]).shape == (len(wide.test), 2)
    assert "resized with their shape kept" in dict(square.notes)["pictures"]
    assert "as they are" in dict(wide.notes)["pictures"]


def test_new_pictures_become_what_training_pictures_became(folder, tmp_path_factory):
    data = find_task("images").load(folder)
    steps = preprocessing_from_json(json.loads(json.dumps(data.preprocessing.to_json())), folder)
    assert steps == data.preprocessing
    read = steps.read(folder)
    assert read.names[:2] == ("green/0.png", "green/1.png")
    rows = {
        (row.numpy().tobytes(), int(label))
        for part in (data.train, data.validation, data.test)
        for row, label in zip(part.columns["image"], part.columns["labels"], strict=True)
    }
    found = zip(read.part.tensors()["image"], read.labels.tolist(), strict=True)
    assert {(row.numpy().tobytes(), label) for row, label in found} == rows
    one = steps.read(folder / "red" / "3.png")
    assert (one.names, one.labels, len(one.part)) == (("3.png",), None, 1)
    flat = tmp_path_factory.mktemp("flat")
    for number in range(3):
        picture(flat / f"{number}.png", RED, number)
    assert (steps.read(flat).names, steps.read(flat).labels) == (("0.png", "1.png", "2.png"), None)
    with pytest.raises(DataError, match="cannot be given as rows"):
        steps.inputs([{"image": "a.png"}])
    with pytest.raises(DataError, match="no pictures in"):
        steps.read(tmp_path_factory.mktemp("empty"))


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
