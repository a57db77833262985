"""A part of the data whose images are changed each time a training step sees them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from dropsmith.rng import Key
from dropsmith.tasks.data.part import Batch, Part
from dropsmith.tasks.images.augmentation import Augmentation

_DOMAIN = 0x494D4147
"""Folded into the keys, so that no other draw of a run has them."""


@dataclass(frozen=True)
class AugmentedImages(Part):
    """Images that training sees changed, and everyone else as they are.

    How they are changed is a function of seed and step, so a run that is resumed sees what it
    would have seen.

    >>> import torch
    >>> from dropsmith.tasks import Split
    >>> from dropsmith.tasks.images.augmentation import Flips
    >>> images = torch.arange(48.0).view(8, 1, 2, 3)
    >>> part = AugmentedImages(Split({"image": images, "labels": torch.arange(8)}), (Flips(),))
    >>> first, again = (part.batch(1, seed=0, batch_size=8).columns["image"] for _ in range(2))
    >>> torch.equal(first, again), torch.equal(part.rows(slice(0, 8))["image"], images)
    (True, True)

    Args:
        part: the images as they are.
        augmentations: what is done to them, in order.
        column: which column holds them, `[batch, channel, height, width]` in [0, 1].
    """

    part: Part
    augmentations: Sequence[Augmentation]
    column: str = "image"

    def tensors(self) -> Mapping[str, Tensor]:
        return self.part.tensors()

    def __len__(self) -> int:
        return len(self.part)

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        return self.part.rows(index)

    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        """The batch of the part, its images changed."""
        batch = self.part.batch(step, seed=seed, batch_size=batch_size)
        images = batch.columns[self.column]
        for index, change in enumerate(self.augmentations):
            images = change(images, Key.of(seed).fold(_DOMAIN, step, index))
        return replace(batch, columns=batch.columns | {self.column: images})

    def count_examples(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        return self.part.count_examples(step, seed=seed, batch_size=batch_size, share=share)

    def batches(self, rows: int) -> Iterator[Batch]:
        return self.part.batches(rows)

    def rename_input(self, name: str) -> "AugmentedImages":
        return replace(self, part=self.part.rename_input(name), column=name)

    def select(self, index: Tensor) -> "AugmentedImages":
        return replace(self, part=self.part.select(index))

    def concatenate(self, part: Part) -> "AugmentedImages":
        return replace(self, part=self.part.concatenate(part))
