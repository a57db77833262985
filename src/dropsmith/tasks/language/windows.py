"""The lengths of the windows in which a text is read, epoch after epoch."""

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil

import torch

from dropsmith.rng import Key, Source, normal, uniform

FULL_SHARE, SPREAD, MIN_LENGTH, EXCESS = 0.95, 5.0, 5, 10
"""The share of windows that aim at the usual length rather than half of it, the standard deviation
around that aim, the shortest window, and by how much the longest may exceed the usual one: the
numbers of AWD-LSTM's code (Merity et al., 2018), its longest as in that of Zolna et al. (2018)."""

Window = tuple[int, int]
"""The beginning of a window in its row, and its end."""


def lengths(seed: int, epoch: int, width: int, window: int) -> list[int]:
    """Random window lengths, at least as many as it takes to read `width` tokens.

    >>> lengths(0, 0, 100, 35) == lengths(0, 0, 100, 35)
    True
    """
    minimum = min(MIN_LENGTH, window)
    key, count = Key.of(seed).fold(epoch, 1), ceil(width / minimum)
    full = uniform(Source(key.fold(1)), (count,)) < FULL_SHARE
    base = torch.where(full, float(window), window / 2)
    draws = (base + SPREAD * normal(Source(key.fold(2)), (count,))).floor().long()
    return draws.clamp(minimum, window + EXCESS).tolist()


@dataclass(frozen=True)
class Course:
    """The windows of one epoch after another, drawn as far as they have been asked for.

    Args:
        width: how many tokens of each row are predicted in an epoch.
        window: the usual length.
        seed: of random lengths, or None for the usual one; the last of an epoch is what is left.
    """

    width: int
    window: int
    seed: int | None
    windows: list[Window] = field(default_factory=list, compare=False)
    epochs: list[int] = field(default_factory=list, compare=False)

    def at(self, step: int) -> Window:
        """The window of step `step`, from 1."""
        while len(self.windows) < step:
            self.windows.extend(self.epoch(len(self.epochs)))
            self.epochs.append(len(self.windows))
        return self.windows[step - 1]

    def epoch(self, number: int) -> list[Window]:
        """The windows of one epoch, which end where the rows do."""
        windows, start = [], 0
        sizes = [] if self.seed is None else lengths(self.seed, number, self.width, self.window)
        while start < self.width:
            length = sizes[len(windows)] if sizes else self.window
            windows.append((start, min(start + length, self.width)))
            start += length
        return windows


@lru_cache(maxsize=16)
def course(width: int, window: int, seed: int | None) -> Course:
    """The course of these windows, shared by all who ask in this process."""
    return Course(width, window, seed)
