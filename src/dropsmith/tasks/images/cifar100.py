"""CIFAR-100 (Krizhevsky, 2009): 32 × 32 colour photographs of a hundred kinds of things."""

from functools import lru_cache
from pathlib import Path

import torch

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.repeats import DropRepeats
from dropsmith.tasks.data.selection import apply_limit, check_limit, round_robin
from dropsmith.tasks.data.sources import load_from_hub
from dropsmith.tasks.images.cifar10 import TEST, hub_split
from dropsmith.tasks.images.image_task import PatchTask
from dropsmith.tasks.images.repeated_images import data_of_images
from dropsmith.tasks.task import Data

LABEL = "fine_label"
TRAIN = 48_000
"""Training images; the last 2,000 of 50,000, in an order with balanced prefixes, are validation."""


def read_cifar100(
    data: Path | None = None, limit: int | None = None, options: DataOptions = NO_OPTIONS
) -> Data:
    """48,000 (or `limit`) training, 2,000 validation and all 10,000 test images, from the Hub.

    Args:
        data: must be None: the Hub is asked for `uoft-cs/cifar100` through `datasets`.
        limit: training images, at most 48,000.
        options: the side that repeated images are left out of; nothing else, for no file is read.

    Raises:
        DataError: a folder was given, or the Hub cannot be reached.
        MissingExtra: `datasets` is not installed.
    """
    if data is not None:
        raise DataError(f"the task cifar100 reads the Hub and not {data}\n  leave --data out")
    check_limit(limit)
    return _from_hub(limit, options.drop_repeats)


@lru_cache(maxsize=2)
def _from_hub(limit: int | None, drop: DropRepeats | None) -> Data:
    splits = load_from_hub("uoft-cs/cifar100", None, "cifar100", "cifar10-vit and cifar10")
    order = round_robin(list(splits["train"][LABEL]))
    train = apply_limit(order[:TRAIN], limit)
    names = splits["train"].features[LABEL].names
    return data_of_images(
        [
            hub_split(splits["train"], train, LABEL),
            hub_split(splits["train"], order[TRAIN:], LABEL),
            hub_split(splits["test"], torch.arange(TEST), LABEL),
        ],
        names=tuple(names),
        source="CIFAR-100 (uoft-cs/cifar100 on the Hub)",
        drop=drop,
    )


CIFAR100 = PatchTask(
    name="cifar100",
    read=read_cifar100,
    budget=Budget(epochs=20, batch_size=64, learning_rate=1e-3, weight_decay=0.05),
)
