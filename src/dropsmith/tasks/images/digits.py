"""Handwritten digits that come with scikit-learn: 1797 images of 8 × 8 pixels, no download."""

from functools import lru_cache
from pathlib import Path

import torch

from dropsmith.errors import TaskError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.repeats import DropRepeats
from dropsmith.tasks.data.selection import apply_limit, check_limit, round_robin, stratify
from dropsmith.tasks.images.image_task import ImageTask, image_split
from dropsmith.tasks.images.repeated_images import data_of_images
from dropsmith.tasks.task import Data

COUNT, VALIDATION, TEST = 1797, 200, 897


def read_digits(
    data: Path | None = None, limit: int | None = None, options: DataOptions = NO_OPTIONS
) -> Data:
    """700 training, 200 validation and 897 test images, the same in every run.

    The source is the test set of the UCI Optical Recognition of Handwritten Digits (Alpaydin &
    Kaynak, 1998), written by 13 people; parts are drawn at random within each class, so the same
    hands wrote all three.

    Raises:
        TaskError: a folder was given, or there are fewer than `limit` training images.
    """
    if data is not None:
        raise TaskError(f"the task digits carries its own images and does not read {data}")
    check_limit(limit)
    return _read(limit, options.drop_repeats)


@lru_cache(maxsize=4)
def _read(limit: int | None, drop: DropRepeats | None) -> Data:
    from sklearn.datasets import load_digits

    source = load_digits()
    pixels = torch.from_numpy(source.images).unsqueeze(1) / 16  # pyright: ignore
    labels = torch.from_numpy(source.target)  # pyright: ignore
    shares = ((COUNT - VALIDATION - TEST) / COUNT, VALIDATION / COUNT, TEST / COUNT)
    train, validation, test = stratify(labels.tolist(), shares)
    train = train[apply_limit(round_robin(labels[train].tolist()), limit)]
    return data_of_images(
        [image_split(pixels[rows], labels[rows]) for rows in (train, validation, test)],
        names=[str(digit) for digit in range(10)],
        source="scikit-learn's handwritten digits (UCI Optical Recognition, 8 × 8 pixels)",
        drop=drop,
    )


DIGITS = ImageTask(
    name="digits",
    read=read_digits,
    budget=Budget(epochs=40, batch_size=50, learning_rate=3e-3, weight_decay=0.01),
)
