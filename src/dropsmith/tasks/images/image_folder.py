"""A user's own pictures: a folder with one subfolder for each class."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.selection import PARTS, apply_limit, check_parts, part_of, round_robin
from dropsmith.tasks.images.image_task import ImageTask, image_split
from dropsmith.tasks.task import Data

SIZE = 32
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")
_PART_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}


def read_image_folder(
    data: Path | None = None, limit: int | None = None, bounds: Bounds = USUAL
) -> Data:
    """Pictures by class, resized to 32 × 32 colour pixels.

    Where the folder holds `train`, `validation` and `test` folders of classes, these are the
    parts. Elsewhere a hash of each file decides: 70 % train, 15 % validation, 15 % test.

    Args:
        data: the folder; each of its subfolders is a class.
        limit: training images, all where None.
        bounds: the most that a picture, and all of them, may hold.

    Raises:
        DataError: there is no such folder, it holds one class only or too few pictures, or one
            of them cannot be read.
    """
    if data is None:
        raise DataError(
            "the task images reads a folder of pictures by class\n  give it: --data DIR"
        )
    if not data.is_dir():
        raise DataError(f"no folder {data}")
    return _read(data.resolve(), limit, bounds)


@lru_cache(maxsize=2)
def _read(folder: Path, limit: int | None, bounds: Bounds) -> Data:
    files = _in_parts(folder)
    names = sorted({path.parent.name for paths in files.values() for path in paths})
    labels = {part: [names.index(p.parent.name) for p in files[part]] for part in PARTS}
    check_parts(labels, names, str(folder))
    selection = apply_limit(round_robin(labels["train"]), limit).tolist()
    files["train"] = [files["train"][i] for i in selection]
    labels["train"] = [labels["train"][i] for i in selection]
    splits = [image_split(torch.stack([_picture(p) for p in files[k]]), labels[k]) for k in PARTS]
    return Data.of(splits, names=names, source=f"pictures in {folder.name}")


def _in_parts(folder: Path) -> dict[str, list[Path]]:
    folders = {
        part: next((folder / n for n in names if (folder / n).is_dir()), None)
        for part, names in _PART_NAMES.items()
    }
    if all(folders.values()):
        return {
            part: _pictures(part_folder)
            for part, part_folder in folders.items()
            if part_folder is not None
        }
    if folders["train"] and folders["test"]:
        raise DataError(
            f"{folder} holds train and test folders, but none for validation\n"
            "  add a folder called validation, or point at one folder of classes to have it split"
        )
    parts: dict[str, list[Path]] = {part: [] for part in PARTS}
    for path in _pictures(folder):
        parts[part_of(path.read_bytes())].append(path)
    return parts


def _pictures(folder: Path) -> list[Path]:
    files = [p for p in sorted(folder.glob("*/*")) if p.suffix.lower() in SUFFIXES]
    if not files:
        raise DataError(
            f"no pictures in {folder}\n"
            f"  looked for: <class>/<picture> with a name in {', '.join(SUFFIXES)}"
        )
    return files


def _picture(path: Path) -> Tensor:
    from PIL import Image

    try:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(small)).permute(2, 0, 1) / 255
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read the picture {path}\n  {error}") from None


IMAGES = ImageTask(
    name="images",
    read=read_image_folder,
    budget=Budget(epochs=30, batch_size=32, learning_rate=1e-3, weight_decay=0.01),
    widths=(32, 64, 64),
)
