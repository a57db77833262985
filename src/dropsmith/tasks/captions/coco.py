"""Captions in the format of COCO (Lin et al., 2014; Chen et al., 2015), from a folder."""

from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from dropsmith.errors import DataError
from dropsmith.files import check, read_json
from dropsmith.tasks.captions.examples import CaptionedPictures, Collected, check_captioned
from dropsmith.tasks.captions.folder_pictures import FolderPictures
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.selection import round_robin
from dropsmith.tasks.images.folders import display_path, picture_folder

HELD_OUT = 5_000
"""Pictures of validation and of test, at most; both are taken from COCO's own validation."""

_YEARS = ("2014", "2017")


class _Image(TypedDict):
    id: int
    file_name: str


class _Annotation(TypedDict):
    image_id: int
    caption: str


def read_coco(data: Path | None, bounds: Bounds = USUAL) -> CaptionedPictures:
    """Pictures of `train2014` to train on, and of `val2014` for validation and test.

    The captions are in `annotations/captions_train2014.json` and `captions_val2014.json`, the
    pictures in folders `train2014` and `val2014`, perhaps inside `images`; 2017 is read alike.
    The pictures of `val` in a seeded order are validation and test in turn, up to 5,000 each. That
    is not the split by Karpathy and Fei-Fei (2015), whose list is not part of COCO.

    Args:
        data: the folder.
        bounds: the most that is read.

    Raises:
        DataError: the folder does not hold them, an annotation belongs to no picture, a picture
            is missing, or none is given.
    """
    if data is None:
        raise DataError(
            "the task coco-captions reads a folder with annotations/captions_train2014.json\n"
            "  give it: --data DIR"
        )
    folder = picture_folder(data)
    year = next((y for y in _YEARS if _annotations(folder, "train", y).is_file()), None)
    if year is None:
        looked = ", ".join(f"annotations/captions_train{year}.json" for year in _YEARS)
        raise DataError(f"no captions of COCO in {folder}\n  looked for: {looked}")
    pictures = FolderPictures((folder, folder / "images"), bounds)
    collected = Collected()
    for side in ("train", "val"):
        path = _annotations(folder, side, year)
        names, captions = _read(path, f"{side}{year}", bounds)
        turns = _turns(list(names)) if side == "val" else dict.fromkeys(names, "train")
        for image, caption in captions:
            if image not in names:
                raise DataError(f"{path}: a caption is of the image {image}, which is not there")
            if image in turns:
                collected.add(turns[image], names[image], caption)
        for image in turns:
            pictures.file(names[image], f"image {image} of {display_path(path)}")
    check_captioned(collected.parts, str(folder))
    return CaptionedPictures(
        parts=collected.parts,
        pictures=pictures.read,
        source=f"captions of COCO {year} ({folder.name}); validation and test from its validation",
        notes=collected.notes,
    )


def _annotations(folder: Path, side: str, year: str) -> Path:
    return folder / "annotations" / f"captions_{side}{year}.json"


def _read(path: Path, inside: str, bounds: Bounds) -> tuple[dict[int, str], list[tuple[int, str]]]:
    """The names of pictures by their id, and captions with the id of theirs."""
    if not path.is_file():
        raise DataError(f"no file {path}")
    if path.stat().st_size > bounds.bytes:
        raise bounds.excess("bytes", str(path))
    values: Any = read_json(path)
    images = check(_fields(values, "images", _Image, path), list[_Image])
    annotations = check(_fields(values, "annotations", _Annotation, path), list[_Annotation])
    names = {image["id"]: f"{inside}/{image['file_name']}" for image in images}
    return names, [(one["image_id"], one["caption"]) for one in annotations]


def _fields(values: Any, name: str, schema: type, path: Path) -> list[dict[str, Any]]:
    """The rows of a list in the file, with the fields that are read; COCO has more."""
    rows = values.get(name) if isinstance(values, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path} has no list {name!r} of objects, as the captions of COCO have")
    wanted = schema.__annotations__
    if missing := next((n for row in rows for n in wanted if n not in row), None):
        raise DataError(f"an object of {name!r} in {path} has no field {missing!r}")
    return [{field: row[field] for field in wanted} for row in rows]


def _turns(images: list[int]) -> dict[int, str]:
    """The part of each picture that is taken: validation and test in turn, in a seeded order."""
    order = round_robin([0] * len(images)).tolist()[: 2 * HELD_OUT]
    parts = ("validation", "test")
    return {images[index]: parts[turn % 2] for turn, index in enumerate(order)}
