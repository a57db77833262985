"""Pictures and captions of the user's own, and in the format of COCO."""

import json

import pytest
import torch
from PIL import Image

from dropsmith.errors import DataError
from dropsmith.tasks import describe, find_task
from dropsmith.tasks.captions.caption_task import CaptionTask
from dropsmith.tasks.captions.coco import read_coco
from dropsmith.tasks.captions.examples import Captioned
from dropsmith.tasks.captions.own_captions import holds_captions, read_own_captions

ROWS = [
    ("a.png", "A red square .", "train"),
    ("a.png", "Something red", "train"),
    ("b.png", "a green square", "val"),
    ("c.png", "a blue square", "test"),
]


@pytest.fixture
def folder(tmp_path):
    for name, colour in (("a", "red"), ("b", "green"), ("c", "blue")):
        Image.new("RGB", (40, 30), colour).save(tmp_path / f"{name}.png")
    return tmp_path


def table(folder, rows, heads=("image", "caption", "split"), name="captions.csv"):
    lines = [",".join(heads), *(",".join(row[: len(heads)]) for row in rows)]
    text = "\n".join(lines) + "\n"
    (folder / name).write_text(text.replace(",", "\t") if name.endswith(".tsv") else text)


@pytest.mark.parametrize("name", ["captions.csv", "captions.tsv"])
def test_a_picture_has_all_its_captions_and_the_part_of_its_row(folder, name):
    table(folder, ROWS, name=name)
    assert read_own_captions(folder).parts == {
        "train": (Captioned("a.png", ("a red square", "something red")),),
        "validation": (Captioned("b.png", ("a green square",)),),
        "test": (Captioned("c.png", ("a blue square",)),),
    }


@pytest.mark.parametrize("name", ["captions.csv", "captions.tsv"])
def test_a_folder_with_a_table_of_captions_is_a_task_at_its_path(folder, name):
    table(folder, ROWS, name=name)
    task = find_task(str(folder))
    assert isinstance(task, CaptionTask)
    at_place = find_task("captions").load(folder)
    assert task.load().sha256 == at_place.sha256
    assert len(task.load().test) == len(at_place.test) > 0


def test_a_table_of_that_name_with_other_columns_is_a_table(folder):
    table(folder, [("a.png", "red"), ("b.png", "blue")], ("text", "label"))
    assert not isinstance(find_task(str(folder)), CaptionTask)
    assert not holds_captions(folder / "no-folder")


def test_empty_and_repeated_captions_are_left_out_and_counted(folder):
    table(folder, [*ROWS, ("a.png", "a red SQUARE", "train"), ("b.png", " . ", "val")])
    found = read_own_captions(folder)
    assert found.notes == (("captions", "1 empty and 1 repeated left out"),)
    assert sum(len(one.captions) for part in found.parts.values() for one in part) == len(ROWS)


@pytest.mark.parametrize(
    ("rows", "heads", "message"),
    [
        ([*ROWS, ("d.png", "gone", "train")], None, r"line 6 of .*: there is no picture 'd.png'"),
        ([*ROWS, ("../x.png", "out", "train")], None, "there is no picture '../x.png'"),
        ([*ROWS, ("a.png", "again", "test")], None, "of test, and of train in a row before"),
        ([*ROWS, ("a.png", "again", "else")], None, "the split 'else' is none of train"),
        (ROWS[:3], None, "no picture with a caption for test"),
        ([], None, "no picture with a caption for train"),
        (ROWS, ("picture", "caption"), "no column 'image'"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(folder, rows, heads, message):
    table(folder, rows, heads or ("image", "caption", "split"))
    (folder.parent / "x.png").write_bytes((folder / "a.png").read_bytes())
    with pytest.raises(DataError, match=message):
        read_own_captions(folder)


def test_a_folder_without_a_table_is_refused_with_the_names_that_were_looked_for(folder):
    with pytest.raises(DataError, match=r"looked for: captions.csv, captions.csv.gz"):
        read_own_captions(folder)


def test_without_a_column_copies_of_a_picture_are_in_one_part(folder):
    for turn in range(40):
        Image.new("RGB", (8, 8), (turn, 0, 0)).save(folder / f"{turn}.png")
        Image.new("RGB", (8, 8), (turn, 0, 0)).save(folder / f"{turn}-copy.png")
    names = [f"{turn}{end}.png" for turn in range(40) for end in ("", "-copy")]
    table(folder, [(name, "a picture") for name in names], ("image", "caption"))
    parts = read_own_captions(folder).parts
    part_of = {one.name: part for part, shown in parts.items() for one in shown}
    assert all(part_of[f"{turn}.png"] == part_of[f"{turn}-copy.png"] for turn in range(40))


def test_a_file_that_is_no_picture_is_named(folder):
    table(folder, ROWS)
    (folder / "b.png").write_text("no picture")
    with pytest.raises(DataError, match=r"cannot read the picture .*b.png"):
        find_task("captions").load(folder)


def test_the_task_reads_it_and_says_what_it_found(folder):
    table(folder, ROWS)
    task = find_task("captions")
    data = task.load(folder)
    row = data.train.rows(slice(0, 1))
    torch.testing.assert_close(row["image"][0, :, 24, 24], torch.tensor([1.0, 0.0, 0.0]))
    assert row["target"].shape == row["labels"].shape == (1, 4)
    assert data.vocabulary == ("<pad>", "<s>", "</s>", "<unk>", "red")
    assert row["labels"].tolist() == [[3, 4, 3, 2]]
    assert "pictures     train 1, validation 1, test 1" in describe(task, data)


def coco(folder, side, images, captions):
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / f"{side}2014").mkdir(exist_ok=True)
    for number in images:
        Image.new("RGB", (10, 8)).save(folder / f"{side}2014" / f"{number}.jpg")
    values = {
        "info": {"year": 2014},
        "licenses": [],
        "images": [{"id": n, "file_name": f"{n}.jpg", "height": 8, "width": 10} for n in images],
        "annotations": [{"id": 0, "image_id": n, "caption": c} for n, c in captions],
    }
    (folder / "annotations" / f"captions_{side}2014.json").write_text(json.dumps(values))


def test_annotations_of_coco_become_three_parts_without_a_picture_in_two(tmp_path):
    coco(tmp_path, "train", [1, 2], [(2, "A cat."), (1, "A dog!"), (2, "Cats")])
    coco(tmp_path, "val", range(10, 20), [(n, f"number {n}") for n in range(10, 20)])
    parts = read_coco(tmp_path).parts
    assert sorted((one.name, one.captions) for one in parts["train"]) == [
        ("train2014/1.jpg", ("a dog",)),
        ("train2014/2.jpg", ("a cat", "cats")),
    ]
    held_out = [one.name for part in ("validation", "test") for one in parts[part]]
    assert sorted(held_out) == [f"val2014/{n}.jpg" for n in range(10, 20)]
    assert len(parts["validation"]) == len(parts["test"]) == 5
    assert find_task("coco-captions").load(tmp_path).train.pictures.shape == (2, 3, 64, 64)


def test_faults_in_annotations_of_coco_are_named(tmp_path):
    with pytest.raises(DataError, match=r"looked for: annotations/captions_train2014.json"):
        read_coco(tmp_path)
    coco(tmp_path, "train", [1], [(1, "a dog"), (7, "a cat")])
    coco(tmp_path, "val", [8, 9], [(8, "a"), (9, "b")])
    with pytest.raises(DataError, match="is of the image 7, which is not there"):
        read_coco(tmp_path)
    coco(tmp_path, "train", [1], [(1, "a dog")])
    (tmp_path / "val2014" / "9.jpg").unlink()
    with pytest.raises(DataError, match=r"there is no picture 'val2014/9.jpg'"):
        read_coco(tmp_path)
    (tmp_path / "annotations" / "captions_val2014.json").write_text('{"images": [{"id": "x"}]}')
    with pytest.raises(DataError, match=r"captions_val2014.json"):
        read_coco(tmp_path)
