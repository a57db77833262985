"""One line of a tiling: runs at equal gaps, at a random place, asked at each position.

Positions are 31-bit fractions of a turn and add with wrap-around, so there is no canvas to draw on,
nothing to cut out and no border: a position is inside a run or not, and a place that is uniform
over the turn gives every position the same chance. All of it is integer arithmetic, the same
in eager and compiled code and on any device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TURN = 1 << 31

Integers = Any
"""int32 of torch, or of NumPy where they are few on a CPU: operators are all that is used here."""


@dataclass(frozen=True)
class Arc:
    """The first `length` of a turn, and where on it positions are, counted from places."""

    position: Integers
    place: Integers
    length: int

    def signs(self) -> Integers:
        """int32 that are negative where a position is on the arc; positions against places."""
        # Comparing costs ten times what these cost, of which only the first makes a new tensor.
        at = self.place + self.position
        at &= TURN - 1
        at += -self.length
        return at

    def of_rows(self, start: int, count: int) -> "Arc":
        """The arc for some rows of the batch, which is dimension 0."""
        position, place = (
            one if isinstance(one, int) or one.shape[0] == 1 else one[start : start + count]
            for one in (self.position, self.place)
        )
        return Arc(position, place, self.length)


@dataclass(frozen=True, kw_only=True)
class Line:
    """Runs of `size`, each followed by a gap of `stride`: a run and its gap are one turn.

    Args:
        size: length of a run.
        stride: length of the gap between two runs.
        whole: whether positions are whole numbers, and so places.
    """

    size: int
    stride: int
    whole: bool = True

    @property
    def share(self) -> float:
        """The chance that a position is inside a run."""
        return self.size / self._period

    def arc(self, position: Sequence[tuple[Integers, float]], place: Integers) -> Arc:
        """The part of a turn on which a position is where a run covers it.

        Args:
            position: whole numbers and what each counts; their products are added up.
            place: random int32, from which the place of the runs follows.
        """
        steps = [(count, turns(each / self._period)) for count, each in position]
        # What a position does not move along the turn must not make the mask larger.
        moved = [count * step for count, step in steps if step]
        at = sum(moved[1:], moved[0]) if moved else 0
        return Arc(at, self._turned(place), arc_length(self.share))

    @property
    def _period(self) -> int:
        return self.size + self.stride

    def _turned(self, place: Integers) -> Integers:
        """Places as fractions of a turn."""
        if not self.whole:
            return place
        # Half a step aside, so that rounding cannot move a position over the edge of a run.
        step = whole_place(place, self._period)
        return step * turns(1 / self._period) + turns(0.5 / self._period)


def whole_place(place: Integers, length: int) -> Integers:
    """Random int32 as whole numbers from 0 to below `length`."""
    return ((place >> 1) & 0x7FFFFFFF) % length


def turns(fraction: float) -> int:
    """A fraction of a turn as a 31-bit integer."""
    return round(fraction * TURN) % TURN


def arc_length(share: float) -> int:
    """The length of the arc that is so much of a turn."""
    return min(round(share * TURN), TURN)
