"""The number of samples of a prediction, and how their masks lie together."""

from dataclasses import dataclass
from math import inf, sqrt
from typing import Literal, get_args

import torch
from torch import Tensor

from dropsmith.errors import NoiseError, excerpt
from dropsmith.instances import check_word
from dropsmith.numbers import check_number, is_count
from dropsmith.prediction.kinds import OF_VALUES
from dropsmith.prediction.moments import Moments
from dropsmith.prediction.padding import average_rows

Draws = Literal["stratified", "independent"]
"""Stratified masks give the mean a smaller error; see `dropsmith.strata`."""

BLOCK = 13
"""Samples that are stratified together where their number is not known beforehand; a prime."""

_LEAST, _MOST = 4, 100
"""Blocks from which a standard error is taken, and after which no more are drawn."""

_USUAL_TOLERANCE, _OF_VALUES = 0.01, 0.1


def strata_of(draws: Draws, samples: int) -> int:
    """How many of some samples are stratified together: all of them, or 0 for none.

    Raises:
        NoiseError: there are no such draws.
    """
    check_word("draws", draws, get_args(Draws), NoiseError)
    return samples if draws == "stratified" else 0


@dataclass(frozen=True, kw_only=True)
class SampleSize:
    """The samples of a prediction: a number of them, or as many as a standard error takes.

    Args:
        samples: how many, at least 2; or `auto`.
        draws: `stratified` or `independent`.
        tolerance: the largest standard error of `auto`; None for the usual one. It is that of a
            row's probabilities, as a root mean square over the classes; of values, as a share of
            the standard deviation of the samples.

    Raises:
        NoiseError: one of them is not what it should be.
    """

    samples: int | Literal["auto"]
    draws: Draws = "stratified"
    tolerance: float | None = None

    def __post_init__(self) -> None:
        strata_of(self.draws, self.block)
        if self.samples != "auto" and not is_count(self.samples, 2):
            raise NoiseError(
                f"predict takes at least 2 samples, got {excerpt(self.samples)}: one shows no "
                "spread\n  give a number of samples, or samples='auto'"
            )
        if self.tolerance is not None:
            check_number("tolerance", self.tolerance, NoiseError)
            if self.samples != "auto":
                raise NoiseError(
                    f"tolerance={self.tolerance:g} says when samples='auto' ends, and "
                    f"samples={self.samples}\n  leave one of the two out"
                )

    @property
    def block(self) -> int:
        """How many samples are drawn before it is asked whether they are enough."""
        return BLOCK if self.samples == "auto" else self.samples

    @property
    def strata(self) -> int:
        """How many samples are stratified together; 0 for none."""
        return strata_of(self.draws, self.block)

    @property
    def most(self) -> int:
        """The largest number of samples."""
        return BLOCK * _MOST if self.samples == "auto" else self.samples


class StandardError:
    """The standard error of a prediction's mean, from the means of its blocks.

    Blocks are independent of each other, whether samples inside a block are or not.

    Args:
        moments: of all samples; looked at after every block.
        tolerance: see `SampleSize`.
    """

    def __init__(self, moments: Moments, tolerance: float | None) -> None:
        self.moments = moments
        usual = _OF_VALUES if moments.kind in OF_VALUES else _USUAL_TOLERANCE
        self.tolerance = usual if tolerance is None else tolerance
        self.reached = False
        self.blocks, self.sum, self.squares = 0, torch.zeros(()), torch.zeros(())

    def is_small(self) -> bool:
        """True after a block that brings the standard error below the tolerance."""
        total = self.moments.mean.double() * self.moments.count
        block = (total - self.sum) / BLOCK
        before = self.sum / max(self.blocks * BLOCK, 1)
        self.sum, self.blocks = total, self.blocks + 1
        self.squares = self.squares + (block - before) * (block - total / self.moments.count)
        self.reached = self.blocks >= _LEAST and self.value <= self.tolerance
        return self.reached

    @property
    def message(self) -> str:
        """The warning that it is still above the tolerance."""
        return (
            f"after {self.moments.count} samples the standard error of the mean is "
            f"{self.value:.2g}, above the tolerance of {self.tolerance:g}\n"
            "  give a larger tolerance, or a number of samples"
        )

    @property
    def value(self) -> float:
        """The standard error of the row that has the largest."""
        if self.blocks < 2:
            return inf
        error = self.squares / (self.blocks * (self.blocks - 1))
        if self.moments.kind in OF_VALUES:
            spread = self.moments.squares.double() / max(self.moments.count - 1, 1)
            error = torch.where(spread > 0, error / spread, 0)
        means = _row_means(error, self.moments)
        return sqrt(float(means.max())) if means.numel() else 0.0


def _row_means(values: Tensor, moments: Moments) -> Tensor:
    """The means over what counts: of each item with classes, or else of each input."""
    if moments.has_classes:
        items = values.mean(moments.class_axis)
        return items if moments.mask is None else items[moments.mask]
    rows = values.movedim(moments.row_axis, 0)
    means = average_rows(rows, moments.mask)
    return means[~means.isnan()]
