"""Pictures for a pretrained model, as papers tune it: `--model google/vit-base-patch16-224`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import (
    PRETRAINED_IMAGE_NOISES,
    PretrainedImages,
    pretrained_image_plan,
    pretrained_image_size,
)
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.images.augmentation import Augmentation
from dropsmith.tasks.images.image_task import ImageTask, PatchTask
from dropsmith.tasks.images.imagenet import ImageNetTask
from dropsmith.tasks.optimisers import SGD
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss

IMAGE_FINE_TUNING = Budget(
    epochs=10, batch_size=64, learning_rate=1e-2, warmup=0.05, optimiser=SGD(momentum=0.9)
)
"""The budget by which R-Drop's code fine-tunes vision Transformers, in smaller batches."""


@dataclass(frozen=True, kw_only=True)
class PretrainedImageTask(Task):
    """A task's pictures and scores, with a pretrained model.

    Args:
        task: whose data and loss.
        checkpoint: the model's name on the Hub, or a folder.
        name, budget, noises, blocks: as for any task.
    """

    task: ImageTask | PatchTask | ImageNetTask
    checkpoint: str
    name: str
    budget: Budget = IMAGE_FINE_TUNING
    noises: tuple[str, ...] = PRETRAINED_IMAGE_NOISES
    blocks: bool = True

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return self._task.load(data, limit)

    @property
    def _task(self) -> Task:
        """The task whose pictures are read in the size that the model was trained on."""
        task = self.task
        if "image_size" not in task.option_names or task.data_options.image_size is not None:
            return task
        size = pretrained_image_size(self.checkpoint)
        return replace(task, data_options=replace(task.data_options, image_size=size))

    def model(self, data: Data) -> nn.Module:
        return PretrainedImages(self.checkpoint, data.classes)

    def plan(self, noise: str, rate: float) -> Plan:
        return pretrained_image_plan(noise, rate)

    def strong_augmentations(self, data: Data) -> tuple[Augmentation, ...]:
        return self.task.strong_augmentations(data)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return self.task.loss(output, batch)
