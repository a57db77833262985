"""A user's own pictures: a folder with one subfolder for each class."""

from functools import lru_cache
from itertools import chain
from pathlib import Path

import torch

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.selection import (
    PARTS,
    apply_limit,
    check_limit,
    check_parts,
    part_of,
    round_robin,
)
from dropsmith.tasks.images.folders import display_path, picture_folder, subfolders
from dropsmith.tasks.images.image_task import ImageTask, image_split
from dropsmith.tasks.images.picture_files import check_filled, find_pictures
from dropsmith.tasks.images.picture_reader import PictureReader
from dropsmith.tasks.task import Data

SIZE = 32
_BYTES = 3 * SIZE * SIZE * torch.float32.itemsize
_PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
_PARTS_LAYOUT = "<part>/<class>/<picture>"


def read_image_folder(
    data: Path | None = None, limit: int | None = None, bounds: Bounds = USUAL
) -> Data:
    """Pictures by class, resized to 32 × 32 colour pixels.

    Where the folder holds `train`, `validation` and `test` folders of classes, these are the
    parts. Elsewhere a hash of each file decides: 70 % train, 15 % validation, 15 % test.

    Args:
        data: the folder; each of its subfolders is a class.
        limit: training images, all where None.
        bounds: the most that is read.

    Raises:
        DataError: there is no such folder, it holds one class only or too few pictures, a class
            has none, one of them cannot be read, or a bound is exceeded.
    """
    if data is None:
        raise DataError(
            "the task images reads a folder of pictures by class\n  give it: --data DIR"
        )
    check_limit(limit)
    return _read(picture_folder(data), limit, bounds)


@lru_cache(maxsize=2)
def _read(folder: Path, limit: int | None, bounds: Bounds) -> Data:
    reader = PictureReader(bounds)
    files = _in_parts(folder, reader)
    names = sorted({path.parent.name for paths in files.values() for path in paths})
    numbers = {name: number for number, name in enumerate(names)}
    labels = {part: [numbers[path.parent.name] for path in files[part]] for part in PARTS}
    check_parts(labels, names, display_path(folder))
    selection = apply_limit(round_robin(labels["train"]), limit).tolist()
    files["train"] = [files["train"][i] for i in selection]
    labels["train"] = [labels["train"][i] for i in selection]
    if _BYTES * sum(map(len, files.values())) > bounds.picture_bytes:
        raise bounds.excess("picture_bytes", f"the folder {display_path(folder)}")
    splits = [
        image_split(torch.stack([reader.read_square(p, SIZE) for p in files[part]]), labels[part])
        for part in PARTS
    ]
    return Data.of(splits, names=names, source=f"pictures in {folder.name}")


def _in_parts(folder: Path, reader: PictureReader) -> dict[str, list[Path]]:
    folders = _part_folders(folder)
    if folders:
        classes = [find_pictures(folders[part], _PARTS_LAYOUT) for part in PARTS]
        check_filled(*classes)
        return {
            part: list(chain.from_iterable(in_part.values()))
            for part, in_part in zip(PARTS, classes, strict=True)
        }
    parts: dict[str, list[Path]] = {part: [] for part in PARTS}
    classes = find_pictures(folder)
    check_filled(classes)
    for path in chain.from_iterable(classes.values()):
        parts[part_of(reader.read_bytes(path))].append(path)
    return parts


def _part_folders(folder: Path) -> dict[str, Path]:
    """The folder of each part, in whatever case; none where the folder holds classes."""
    present = subfolders(folder)
    folders: dict[str, Path] = {}
    for part, names in _PART_NAMES.items():
        matches = [path for name, path in present.items() if name.lower() in names]
        if len(matches) > 1:
            several = " and ".join(path.name for path in matches)
            raise DataError(
                f"{display_path(folder)} holds the folders {several}, which mean the same part\n"
                "  join them, or leave one"
            )
        if matches:
            folders[part] = matches[0]
    missing = [part for part in PARTS if part not in folders]
    if "train" in folders and len(missing) == 1:
        others = " and ".join(path.name for path in folders.values())
        raise DataError(
            f"{display_path(folder)} holds {others} folders, but none for {missing[0]}\n"
            f"  add a folder called {missing[0]}, or point at one folder of classes to have it "
            "split"
        )
    return {} if missing else folders


IMAGES = ImageTask(
    name="images",
    read=read_image_folder,
    budget=Budget(epochs=30, batch_size=32, learning_rate=1e-3, weight_decay=0.01),
    widths=(32, 64, 64),
)
