"""CIFAR-10 (Krizhevsky, 2009): 32 × 32 colour photographs of ten kinds of things."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.repeats import DropRepeats
from dropsmith.tasks.data.selection import apply_limit, check_limit, round_robin
from dropsmith.tasks.data.sources import load_from_hub
from dropsmith.tasks.data.tables import column_named, table_rows
from dropsmith.tasks.images.augmentation import Crops, Cutout, Flips
from dropsmith.tasks.images.folders import display_path, picture_folder
from dropsmith.tasks.images.image_task import ImageTask, PatchTask, image_split
from dropsmith.tasks.images.picture_modes import to_numbers
from dropsmith.tasks.images.picture_reader import PictureReader
from dropsmith.tasks.images.repeated_images import data_of_images
from dropsmith.tasks.task import Data

TRAIN, VALIDATION, TEST = 48_000, 2_000, 10_000
LIMIT = 4_000
"""Training images where no limit is given: few enough that regularising matters."""

_TILE, _ACROSS, _DOWN = 32, 25, 40
_PER_FILE = _ACROSS * _DOWN
_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_COUNTS = {"train": TRAIN + VALIDATION, "test": TEST}
_COLUMNS = ("split", "position", "label")
_LAYOUT = "index.tsv.gz, test_00.webp … test_09.webp, train_00.avif … train_49.avif"


def read_cifar10(
    data: Path | None = None, limit: int | None = None, options: DataOptions = NO_OPTIONS
) -> Data:
    """4,000 (or `limit`) training, 2,000 validation and all 10,000 test images.

    Validation is the last 2,000 of the training images. In a folder they stand in an order whose
    prefixes are balanced; those of the Hub are put into such an order.

    Args:
        data: a folder of mosaics of 1,000 images each with an index beside them; None to ask the
            Hub for `uoft-cs/cifar10` through `datasets`.
        limit: training images, at most 48,000.
        options: the most that the index and a mosaic may hold, and the side that repeated images
            are left out of.

    Raises:
        DataError: the folder does not hold the mosaics, or the Hub cannot be reached.
        MissingExtra: no folder was given and `datasets` is not installed.
    """
    check_limit(limit)
    if data is None:
        return _from_hub(limit, options.drop_repeats)
    return _from_folder(picture_folder(data), limit, options)


@cached_by_files(2)
def _from_folder(folder: Path, limit: int | None, options: DataOptions) -> Data:
    labels = _labels(folder, options.bounds)
    order = apply_limit(torch.arange(TRAIN), limit if limit is not None else LIMIT)
    validation = torch.arange(TRAIN, TRAIN + VALIDATION)
    reader = PictureReader(options.bounds)
    parts = (
        ("train", "avif", order),
        ("train", "avif", validation),
        ("test", "webp", torch.arange(TEST)),
    )
    splits = [
        image_split(_pixels(folder, split, suffix, rows, reader), labels[split][rows])
        for split, suffix, rows in parts
    ]
    about = "CIFAR-10, training images near-lossless (AVIF), test images exact"
    return data_of_images(splits, names=_NAMES, source=about, drop=options.drop_repeats)


def _labels(folder: Path, bounds: Bounds) -> dict[str, Tensor]:
    path = folder / "index.tsv.gz"
    if not path.is_file():
        raise DataError(f"no CIFAR-10 in {folder}\n  looked for: {_LAYOUT}")
    labels = {name: torch.full((count,), -1) for name, count in _COUNTS.items()}
    for line, row in table_rows(path, bounds):
        split, position, label = (row[column_named(path, row, [name])] for name in _COLUMNS)
        count = _COUNTS.get(split, 0)
        if not (_is_below(position, count) and _is_below(label, len(_NAMES))):
            raise DataError(
                f"line {line} of {path} is no image of CIFAR-10: split {split[:20]!r}, "
                f"position {position[:20]!r}, label {label[:20]!r}"
            )
        if labels[split][int(position)] >= 0:
            raise DataError(f"line {line} of {path} is the second of {split} image {position}")
        labels[split][int(position)] = int(label)
    for split, numbers in labels.items():
        if missing := (numbers < 0).nonzero().flatten().tolist():
            raise DataError(f"{path} has no label for the {split} image {missing[0]}")
    return labels


def _is_below(text: str, count: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) < count


def _pixels(folder: Path, split: str, suffix: str, rows: Tensor, reader: PictureReader) -> Tensor:
    """The images at these consecutive positions of a split, in [0, 1]."""
    first, last = int(rows[0]) // _PER_FILE, int(rows[-1]) // _PER_FILE
    tiles = [_tiles(reader, folder / f"{split}_{k:02d}.{suffix}") for k in range(first, last + 1)]
    return torch.cat(tiles)[rows - first * _PER_FILE].permute(0, 3, 1, 2) / 255


def _tiles(reader: PictureReader, path: Path) -> Tensor:
    """The 1,000 images of a mosaic, `[1000, 32, 32, 3]` bytes."""
    pixels = np.asarray(reader.read(path))
    if pixels.shape != (_DOWN * _TILE, _ACROSS * _TILE, 3):
        raise DataError(
            f"{display_path(path)} is no mosaic of {_ACROSS} × {_DOWN} images: {pixels.shape}"
        )
    grid = pixels.reshape(_DOWN, _TILE, _ACROSS, _TILE, 3).transpose(0, 2, 1, 3, 4)
    return torch.from_numpy(grid.reshape(_PER_FILE, _TILE, _TILE, 3).copy())


@lru_cache(maxsize=2)
def _from_hub(limit: int | None, drop: DropRepeats | None) -> Data:
    splits = load_from_hub("uoft-cs/cifar10", None, "cifar10")
    order = round_robin(list(splits["train"]["label"]))
    train = apply_limit(order[:TRAIN], limit if limit is not None else LIMIT)
    return data_of_images(
        [
            hub_split(splits["train"], train),
            hub_split(splits["train"], order[TRAIN:]),
            hub_split(splits["test"], torch.arange(TEST)),
        ],
        names=_NAMES,
        source="CIFAR-10 (uoft-cs/cifar10 on the Hub)",
        drop=drop,
    )


def hub_split(part: Any, rows: Tensor, label: str = "label") -> Split:
    """These images of a part on the Hub, with what its column `label` says of them."""
    examples = part[rows.tolist()]
    pixels = np.stack([_tile(image) for image in examples["img"]])
    return image_split(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255, list(examples[label]))


def _tile(image: Any) -> np.ndarray:
    """An image of the Hub, `[32, 32, 3]` bytes."""
    colours, _ = to_numbers(image)
    pixels = np.asarray(colours)
    if pixels.shape != (_TILE, _TILE, 3):
        raise DataError(
            f"an image on the Hub is no {_TILE} × {_TILE} pixels of 8-bit colours: "
            f"{image.mode}, {image.size}\n  empty the cache of datasets, and fetch it anew"
        )
    return pixels


CIFAR_STRONG = (Flips(), Crops(), Cutout(size=8))
"""Mirrored, cut anew, and with a black square: for a second view of images without a label."""

CIFAR10 = ImageTask(
    name="cifar10",
    read=read_cifar10,
    budget=Budget(epochs=20, batch_size=64, learning_rate=2e-3, weight_decay=0.01),
    widths=(32, 64, 64),
    strong=CIFAR_STRONG,
)


CIFAR10_VIT = PatchTask(
    name="cifar10-vit",
    read=read_cifar10,
    budget=Budget(epochs=20, batch_size=64, learning_rate=1e-3, weight_decay=0.05),
    strong=CIFAR_STRONG,
)
