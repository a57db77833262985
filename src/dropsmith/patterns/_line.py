"""One line of a tiling: runs with equal gaps at a random position, evaluated at each place.

Positions are 31-bit fractions of a turn and add with wrap-around, so there is no canvas to draw on,
nothing to cut out and no border: a position is inside a run or not, and a place that is uniform
over the turn gives every position the same chance. All of it is integer arithmetic, the same
in eager and compiled code and on any device.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dropsmith.portable import call, exporting, remainder_of_half
from dropsmith.rng import traced

TURN = 1 << 31
_INT32_MIN = -TURN

Integers = Any
"""int32 of torch, or of NumPy where they are few on a CPU."""


@dataclass(frozen=True)
class Arc:
    """Part of a turn, and where on it positions are, counted from places.

    A turn is all of int32, from the least: numbers wrap around where it does, and nothing has to
    take them back.

    Args:
        position: what a position adds to a place.
        place: where the first position is.
        end: the arc is all that is less.
    """

    position: Integers
    place: Integers
    end: int

    @classmethod
    def of(cls, position: Integers, place: Integers, length: int) -> "Arc":
        """The first `length` of a turn, where all are 31-bit fractions of it."""
        return cls(position * 2, (place * 2) ^ _INT32_MIN, 2 * length + _INT32_MIN)

    def at(self) -> Integers:
        """The points of the turn at which positions are, always new; positions against places."""
        return self.place + self.position

    def signs(self) -> Integers:
        """int32 that are negative where a position is on the arc; positions against places."""
        return before(self.at(), self.end)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes that positions against places have."""
        parts = (self.place, self.position)
        return broadcast_shape([tuple(part.shape) for part in parts if not isinstance(part, int)])

    @property
    def numbers(self) -> int:
        """The number of integers that it is made of."""
        parts = (self.position, self.place)
        return sum([math.prod(part.shape) for part in parts if not isinstance(part, int)])

    def of_rows(self, start: int, count: int) -> "Arc":
        """The arc for some rows of the batch, which is dimension 0."""
        position, place = self.position, self.place
        if not isinstance(position, int):
            position = of_rows(position, start, count)
        return Arc(position, of_rows(place, start, count), self.end)


def broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The sizes of arrays against each other. NumPy's own function takes as long as a sum."""
    return tuple([max(sizes) for sizes in zip(*shapes, strict=True)])


def of_rows(values: Integers, start: int, count: int) -> Integers:
    """Values of some rows, in dimension 0, where not all have the same."""
    return values if values.shape[0] == 1 else values[start : start + count]


def before(at: Integers, end: int) -> Integers:
    """int32 that are negative where `at`, which is written over, is less than `end`.

    Comparing costs several times what these operations cost.
    """
    # Clipped at -1, on the side that is clear by then, no difference can wrap around.
    if isinstance(at, np.ndarray):
        (np.minimum if end < 0 else np.maximum)(at, -1, out=at)
    elif traced():
        # The clamp that writes over its input has no rule for `vmap`.
        at = at.clamp(max=-1) if end < 0 else at.clamp(min=-1)
    else:
        at = at.clamp_(max=-1) if end < 0 else at.clamp_(min=-1)
    at -= min(end, TURN - 1)
    return at


@dataclass(frozen=True, kw_only=True)
class Line:
    """Runs of `size`, each followed by a gap of `stride`: a run and its gap are one turn.

    Args:
        size: length of a run.
        stride: length of the gap between two runs.
        is_integral: whether positions are whole numbers, and so places.
    """

    size: int
    stride: int
    is_integral: bool = True

    @property
    def share(self) -> float:
        """The chance that a position is inside a run."""
        return self.size / self._period

    @property
    def whole_places(self) -> int | None:
        """How many places there are for the runs, where places are whole numbers."""
        return self._period if self.is_integral else None

    def arc(self, position: Sequence[tuple[Integers, float]], place: Integers) -> Arc:
        """The part of a turn on which a position is where a run covers it.

        Args:
            position: whole numbers and the length of a unit of each; their products are added up.
            place: random int32, from which the place of the runs follows.
        """
        steps = [(count, turns(unit / self._period)) for count, unit in position]
        # What a position does not move along the turn must not make the mask larger.
        terms = [count * step for count, step in steps if step]
        at = sum(terms[1:], terms[0]) if terms else 0
        return Arc.of(at, self._fractions(place), arc_length(self.share))

    @property
    def _period(self) -> int:
        return self.size + self.stride

    def _fractions(self, place: Integers) -> Integers:
        """Places as fractions of a turn."""
        if not self.is_integral:
            return place
        # Half a step aside, so that rounding cannot move a position over the edge of a run.
        step = whole_place(place, self._period)
        return step * turns(1 / self._period) + turns(0.5 / self._period)


def whole_place(place: Integers, length: int) -> Integers:
    """Random int32 as whole numbers from 0 to below `length`."""
    if exporting():
        return call(remainder_of_half, place, length, types=(torch.int32,))
    return ((place >> 1) & 0x7FFFFFFF) % length


def turns(fraction: float) -> int:
    """A fraction of a turn as a 31-bit integer."""
    return round(fraction * TURN) % TURN


def arc_length(share: float) -> int:
    """The length of the arc that is so much of a turn."""
    return min(round(share * TURN), TURN)
