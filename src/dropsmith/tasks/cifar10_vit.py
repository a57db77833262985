"""CIFAR-10 for a small vision Transformer, from scratch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models.small_vit import VIT_NOISES, SmallViT, vit_plan
from dropsmith.objectives.losses import classification
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks._budget import Budget
from dropsmith.tasks._task import Data, Task
from dropsmith.tasks.cifar10 import read_cifar10
from dropsmith.tasks.images import Reader
from dropsmith.terms import Loss


@dataclass(frozen=True, kw_only=True)
class PatchTask(Task):
    """Pictures of one size, each with one label, for `SmallViT`.

    Args:
        name: what the task is called.
        read: makes its data; columns `image`, float in [0, 1], and `labels`.
        budget: the budget that suits it.
    """

    name: str
    read: Reader
    budget: Budget
    noises: tuple[str, ...] = VIT_NOISES
    blocks: bool = True
    upper: str | None = "net.vit.layers.2"

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return self.read(data, limit)

    def model(self, data: Data) -> nn.Module:
        channels, size, _ = data.train.stored()["image"].shape[1:]
        return SmallViT(channels=channels, size=size, classes=data.classes)

    def plan(self, noise: str, rate: float) -> Plan:
        return vit_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return classification(logits_of(output), batch["labels"])


CIFAR10_VIT = PatchTask(
    name="cifar10-vit",
    read=read_cifar10,
    budget=Budget(epochs=20, batch_size=64, learning_rate=1e-3, weight_decay=0.05),
)
