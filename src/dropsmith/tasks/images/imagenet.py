"""ImageNet (Russakovsky et al., 2015) from a folder, or any pictures by class in its form."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import DataError
from dropsmith.models import RESNET_NOISES, ResNet, resnet_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.selection import apply_limit, check_limit, check_parts, round_robin
from dropsmith.tasks.data.sources import subfolder
from dropsmith.tasks.images.augmentation import Augmentation, Cutout, Flips, RandAugment
from dropsmith.tasks.images.augmented_images import AugmentedImages
from dropsmith.tasks.images.folders import display_path, picture_folder
from dropsmith.tasks.images.picture_files import check_filled, find_pictures
from dropsmith.tasks.images.picture_reader import PictureReader
from dropsmith.tasks.images.pictures import Pictures
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss

VALIDATION = 5_000
"""Training pictures that are held out, at most; never more than one in ten."""

_LAYOUT = "train/<class>/<picture> and val/<class>/<picture>"


@dataclass(frozen=True, kw_only=True)
class ImageNetTask(Task):
    """Photographs in `train` and `val`, by class, for a `ResNet`.

    The published validation pictures are the test: choices are made on pictures held out of
    training, as many of each class. Pictures are read when they are needed, so a folder may be
    larger than memory. Training sees a random cut of each, mirrored or not.

    Args:
        name: what the task is called.
        budget: the budget that suits it.
        size: height and width in pixels of what the model is given.
        widths, depths, stem: of the network; see `ResNet`.
    """

    name: str
    budget: Budget
    size: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    stem: int
    noises: tuple[str, ...] = RESNET_NOISES

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        if data is None:
            raise DataError(
                f"the task {self.name} reads a folder with {_LAYOUT}\n  give it: --data DIR"
            )
        check_limit(limit)
        return _read(picture_folder(data), limit, self.size, self.data_options.bounds)

    def model(self, data: Data) -> nn.Module:
        return ResNet(classes=data.classes, widths=self.widths, depths=self.depths, stem=self.stem)

    def plan(self, noise: str, rate: float) -> Plan:
        return resnet_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.classification(logits_of(output), batch["labels"])

    def strong_augmentations(self, data: Data) -> tuple[Augmentation, ...]:
        return RandAugment(), Cutout(size=self.size // 4)


@cached_by_files(2)
def _read(folder: Path, limit: int | None, size: int, bounds: Bounds) -> Data:
    folder = subfolder(folder, "imagenet")
    by_class = [find_pictures(folder / part, _LAYOUT) for part in ("train", "val")]
    check_filled(*by_class)
    train, test = (list(chain.from_iterable(classes.values())) for classes in by_class)
    names = sorted({file.parent.name for file in train})
    if strange := sorted({file.parent.name for file in test} - set(names)):
        raise DataError(
            f"no training pictures of class {strange[0]!r} in {display_path(folder / 'train')}"
        )
    classes = {name: index for index, name in enumerate(names)}
    order = round_robin([classes[file.parent.name] for file in train]).tolist()
    validation_size = min(VALIDATION, len(train) // 10)
    selection = apply_limit(torch.arange(len(train) - validation_size), limit).tolist()
    files = {
        "train": [train[order[validation_size + i]] for i in selection],
        "validation": [train[i] for i in order[:validation_size]],
        "test": test,
    }
    labels = {
        part: [classes[file.parent.name] for file in part_files]
        for part, part_files in files.items()
    }
    check_parts(labels, names, display_path(folder))
    reader = PictureReader(bounds)
    parts = [
        Pictures(part_files, torch.tensor(labels[part]), size, reader=reader)
        for part, part_files in files.items()
    ]
    data = Data.of(parts, names=names, source=f"photographs in {folder.name}")
    return replace(data, train=AugmentedImages(data.train, (Flips(),)))


IMAGENET = ImageNetTask(
    name="imagenet",
    budget=Budget(epochs=90, batch_size=256, learning_rate=1e-3, weight_decay=0.05),
    size=224,
    widths=(256, 512, 1024, 2048),
    depths=(3, 4, 6, 3),
    stem=64,
)
"""ResNet-50 on pictures of 224 × 224 pixels: work for a GPU."""

IMAGENET_64 = ImageNetTask(
    name="imagenet-64",
    budget=Budget(epochs=20, batch_size=32, learning_rate=1e-3, weight_decay=0.05),
    size=64,
    widths=(64, 128, 256),
    depths=(1, 1, 1),
    stem=32,
)
"""A small network on pictures of 64 × 64 pixels."""
