"""Image classification by small networks, whatever the pictures are."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.models import CONV_NOISES, VIT_NOISES, SmallConv, SmallViT, conv_plan, vit_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.images.augmentation import Augmentation, Crops, Cutout
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss

Reader = Callable[[Path | None, int | None, DataOptions], Data]
"""Takes the `data` and `limit` of `Task.load`, and the task's options."""

_LARGE = 64
"""Pixels of a side up to which the convolutions of a task suffice."""


@dataclass(frozen=True, kw_only=True)
class ImageTask(Task):
    """Pictures of one size, each with one label, for `SmallConv`.

    Args:
        name: what the task is called.
        read: makes its data; columns `image`, float in [0, 1], and `labels`.
        budget: the budget that suits it.
        widths: channels of the model's convolutions.
        home: what is read where no `data` is given.
        strong: what changes a second view of images without a label, in order; None for shifts and
            a black square, which leave most labels true.
    """

    name: str
    read: Reader
    budget: Budget
    widths: tuple[int, ...] = (32, 64)
    home: Path | None = None
    noises: tuple[str, ...] = CONV_NOISES
    option_names = ("drop_repeats",)
    strong: tuple[Augmentation, ...] | None = None

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return self.read(data if data is not None else self.home, limit, self.data_options)

    def model(self, data: Data) -> nn.Module:
        channels, height, width = data.train.tensors()["image"].shape[1:]
        return SmallConv(
            channels=channels,
            size=height if height == width else (height, width),
            classes=data.classes,
            widths=_deep_enough(self.widths, max(height, width)),
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return conv_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.classification(logits_of(output), batch["labels"])

    def strong_augmentations(self, data: Data) -> tuple[Augmentation, ...]:
        return shifts_and_squares(data) if self.strong is None else self.strong


def _deep_enough(widths: Sequence[int], pixels: int) -> tuple[int, ...]:
    """The widths, with a convolution more for each time that pictures are twice as large as 64.

    >>> _deep_enough((32, 64), 64), _deep_enough((32, 64), 224)
    ((32, 64), (32, 64, 64, 64))
    """
    further = max(0, math.ceil(math.log2(pixels / _LARGE)))
    return (*widths, *[widths[-1]] * further)


def shifts_and_squares(data: Data) -> tuple[Augmentation, ...]:
    """A shift by up to an eighth of an image, and a black square of a quarter of its side."""
    columns = data.train.rows(slice(0, 1)).values()
    side = min(min(column.shape[2:]) for column in columns if column.ndim == 4)
    return Crops(border=max(1, side // 8)), Cutout(size=max(2, side // 4))


def image_split(pixels: Tensor, labels: Sequence[int] | Tensor) -> Split:
    """Columns of images `[count, channels, height, width]` and their labels."""
    images = pixels.to(torch.float32).contiguous()
    return Split({"image": images, "labels": torch.as_tensor(labels, dtype=torch.long)})


@dataclass(frozen=True, kw_only=True)
class PatchTask(Task):
    """Pictures of one size, each with one label, for `SmallViT`.

    Args:
        name: what the task is called.
        read: makes its data; columns `image`, float in [0, 1], and `labels`.
        budget: the budget that suits it.
        strong: as in `ImageTask`.
    """

    name: str
    read: Reader
    budget: Budget
    noises: tuple[str, ...] = VIT_NOISES
    option_names = ("drop_repeats",)
    strong: tuple[Augmentation, ...] | None = None
    blocks: bool = True
    upper: str | None = "net.vit.layers.2"

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return self.read(data, limit, self.data_options)

    def model(self, data: Data) -> nn.Module:
        channels, size, _ = data.train.tensors()["image"].shape[1:]
        return SmallViT(channels=channels, size=size, classes=data.classes)

    def plan(self, noise: str, rate: float) -> Plan:
        return vit_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.classification(logits_of(output), batch["labels"])

    def strong_augmentations(self, data: Data) -> tuple[Augmentation, ...]:
        return shifts_and_squares(data) if self.strong is None else self.strong
