"""CIFAR-10 for a small wide residual network: what a search over dropout patterns is scored on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import WIDE_NOISES, WideResNet, wide_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.images.augmentation import Augmentation, Crops, Cutout, Flips, RandAugment
from dropsmith.tasks.images.augmented_images import AugmentedImages
from dropsmith.tasks.images.cifar10 import CIFAR_STRONG, read_cifar10
from dropsmith.tasks.images.image_task import Reader
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss


@dataclass(frozen=True, kw_only=True)
class WideTask(Task):
    """Pictures of one size, each with one label, for `WideResNet`.

    Training images are changed anew each time they are seen; those that are scored never are.

    Args:
        name: what the task is called.
        read: makes its data; columns `image`, float in [0, 1], and `labels`.
        budget: the budget that suits it.
        depth, width, stride: of the network; see `WideResNet`.
        augmentations: what is done to training images, in order.
        limit: training images where no limit is given; None for what the reader takes.
        strong: what changes a second view of images without a label, in order.
    """

    name: str
    read: Reader
    budget: Budget
    depth: int
    width: int
    stride: int = 1
    augmentations: tuple[Augmentation, ...] = ()
    limit: int | None = None
    strong: tuple[Augmentation, ...] = CIFAR_STRONG
    noises: tuple[str, ...] = WIDE_NOISES
    option_names = ("drop_repeats",)

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        limit_or_default = self.limit if limit is None else limit
        data_as_read = self.read(data, limit_or_default, self.data_options)
        if not self.augmentations:
            return data_as_read
        return replace(data_as_read, train=AugmentedImages(data_as_read.train, self.augmentations))

    def model(self, data: Data) -> nn.Module:
        channels = data.train.tensors()["image"].shape[1]
        return WideResNet(
            depth=self.depth,
            width=self.width,
            classes=data.classes,
            channels=channels,
            stride=self.stride,
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return wide_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.classification(logits_of(output), batch["labels"])

    def strong_augmentations(self, data: Data) -> tuple[Augmentation, ...]:
        return self.strong


CIFAR10_WRN = WideTask(
    name="cifar10-wrn",
    read=read_cifar10,
    budget=Budget(epochs=12, batch_size=64, learning_rate=3e-3, weight_decay=0.01),
    depth=10,
    width=2,
    stride=2,
    augmentations=(),
    limit=5_000,
)
"""5,000 training images where no limit is given, as many of each class, shown as they are: so
that there is overfitting to prevent within a minute."""

CIFAR10_WRN_AUGMENTED = replace(
    CIFAR10_WRN, name="cifar10-wrn-augmented", augmentations=(Flips(), Crops())
)
"""Mirrored and cut anew each time, as usual since He et al. (2016)."""

CIFAR10_WRN_RANDAUGMENT = replace(
    CIFAR10_WRN,
    name="cifar10-wrn-randaugment",
    augmentations=(Flips(), Crops(), RandAugment()),
    strong=(RandAugment(), Cutout()),
)
"""And changed by random operations."""
