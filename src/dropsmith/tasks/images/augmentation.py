"""Training images changed a little each time they are seen, as a function of a key."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.errors import MissingExtra, TaskError, excerpt
from dropsmith.rng import Key, Source, uniform


class Augmentation(ABC):
    """A change of a batch of images that leaves their labels true; a frozen value."""

    @abstractmethod
    def __call__(self, images: Tensor, key: Key) -> Tensor:
        """Images `[batch, channel, height, width]` in [0, 1], changed; equal keys, equal changes.

        What is given is left as it was.
        """


@dataclass(frozen=True, kw_only=True)
class Flips(Augmentation):
    """Each image, or its mirror image.

    >>> image = torch.arange(3.0).expand(1, 1, 1, 3)
    >>> [Flips()(image, Key.of(seed)).flatten().tolist() for seed in range(2)]
    [[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]
    """

    def __call__(self, images: Tensor, key: Key) -> Tensor:
        mirror = uniform(Source(key, device=images.device), (len(images), 1, 1, 1)) < 0.5
        return torch.where(mirror, images.flip(3), images)


@dataclass(frozen=True, kw_only=True)
class Crops(Augmentation):
    """A window of the old size at a random place in the image with a black border.

    >>> Crops(border=4)(torch.ones(1, 3, 32, 32), Key.of(0)).shape
    torch.Size([1, 3, 32, 32])

    Args:
        border: its width in pixels.
    """

    border: int = 4

    def __post_init__(self) -> None:
        _check_pixels("Crops", "border", self.border)

    def __call__(self, images: Tensor, key: Key) -> Tensor:
        height, width = images.shape[2:]
        canvas = F.pad(images, (self.border,) * 4)
        top, offset = (
            _integers(key.fold(axis), len(images), 2 * self.border + 1, images.device)
            for axis in range(2)
        )
        rows = top.unsqueeze(1) + torch.arange(height, device=images.device)
        columns = offset.unsqueeze(1) + torch.arange(width, device=images.device)
        image = torch.arange(len(images), device=images.device)[:, None, None]
        # Indices on both sides of a slice put what they pick in front: channels come last.
        window = canvas[image, :, rows[:, :, None], columns[:, None, :]]
        return window.permute(0, 3, 1, 2).contiguous()


@dataclass(frozen=True, kw_only=True)
class Cutout(Augmentation):
    """A black square whose middle is anywhere in the image (DeVries & Taylor, 2017).

    As in the paper, it may reach beyond the border, where nothing is to be blackened.

    >>> [int((Cutout(size=2)(torch.ones(1, 1, 9, 9), Key.of(seed)) == 0).sum()) for seed in (0, 1)]
    [4, 2]

    Args:
        size: its side in pixels.
    """

    size: int = 16

    def __post_init__(self) -> None:
        _check_pixels("Cutout", "size", self.size)

    def __call__(self, images: Tensor, key: Key) -> Tensor:
        rows, columns = (self._within(images, dim, key.fold(dim)) for dim in (2, 3))
        inside = rows[:, None, :, None] & columns[:, None, None, :]
        return images.masked_fill(inside, 0.0)

    def _within(self, images: Tensor, dim: int, key: Key) -> Tensor:
        """For each image, which places along a dimension the square covers."""
        places = torch.arange(images.shape[dim], device=images.device)
        first = _integers(key, len(images), len(places), images.device) - self.size // 2
        return (places >= first[:, None]) & (places < first[:, None] + self.size)


@dataclass(frozen=True, kw_only=True)
class RandAugment(Augmentation):
    """A few random operations of one strength (Cubuk et al., 2020), by kornia.

    Kornia draws operations for all the images it is given, and their signs for each; here it is
    given a few at a time. Its operations and their ranges are not those of the paper to the digit.

    Args:
        operations: how many different ones are applied in a row.
        magnitude: their strength, above 0 and below 30.
        group_size: how many images of a batch have the same operations.
    """

    operations: int = 2
    magnitude: int = 15
    group_size: int = 8

    def __post_init__(self) -> None:
        if self.operations < 1 or self.group_size < 1 or not 0 < self.magnitude < 30:
            raise TaskError(
                f"RandAugment takes at least one operation on at least one image, of a magnitude "
                f"above 0 and below 30; got {self}"
            )

    def __call__(self, images: Tensor, key: Key) -> Tensor:
        """See `Augmentation`; `MissingExtra` where kornia is not installed."""
        change = _kornia(self.operations, self.magnitude)
        # Kornia draws from torch's own generator, which is lent to it and put back.
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed((int(key.first) << 32) | int(key.second))
            return torch.cat([change(group) for group in images.split(self.group_size)])


@lru_cache(maxsize=4)
def _kornia(operations: int, magnitude: int) -> Any:
    try:
        from kornia.augmentation import auto  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra("RandAugment", "kornia", "vision") from None
    return auto.RandAugment(n=operations, m=magnitude, transformation_matrix_mode="skip")


def _integers(key: Key, count: int, limit: int, device: torch.device) -> Tensor:
    return (uniform(Source(key, device=device), (count,)) * limit).long()


def _check_pixels(owner: str, name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TaskError(f"{owner}: {name} is a number of pixels, 1 or more; got {excerpt(value)}")
