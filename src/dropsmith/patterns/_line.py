"""One line of a tiling: runs at equal gaps, at a random place, asked at each position.

Positions are 31-bit fractions of a turn and add with wrap-around, so there is no canvas to draw on,
nothing to cut out and no border: a position is inside a run or not, and a place that is uniform
over the turn gives every position the same chance. All of it is integer arithmetic, the same
in eager and compiled code and on any device.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_TURN = 1 << 31

Integers = Any
"""int32 of torch, or of NumPy where they are few on a CPU: operators are all that is used here."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """Runs of `size`, each followed by a gap of `stride`, on a line that closes into a turn.

    Args:
        size: length of a run.
        stride: length of the gap between two runs.
        repeat: how many runs, or None for runs all along.
        spread: how far apart the positions that are asked may be; with `repeat`, the turn is so
            much longer than its runs, for no position to meet both ends of them.
        whole: whether positions are whole numbers, and so places.
    """

    size: int
    stride: int
    repeat: int | None = None
    spread: float = 0.0
    whole: bool = True

    @property
    def length(self) -> float:
        """The length of a turn: of a run and its gap, of as many as there is room for, or more."""
        if self.repeat is None:
            return self.size + self.stride
        return self._periods * self._period if self._tiled else self._covered + self.spread

    @property
    def share(self) -> float:
        """The chance that a position is inside a run."""
        return (self.repeat or 1) * self.size / self.length

    def arcs(self, position: Sequence[tuple[Integers, float]], place: Integers) -> list["Arc"]:
        """Parts of turns, in all of which a position is where a run covers it.

        Args:
            position: whole numbers and what each counts; their products are added up.
            place: random int32, from which the place of the runs follows.
        """
        at = self._turned(place)
        arcs = [_arc(position, at, self.length, self._covered)]
        if self._tiled:
            # As many turns of one run and its gap as fit into the turn, at the same place.
            arcs.append(_arc(position, at * self._periods, self._period, self.size))
        return arcs

    @property
    def _tiled(self) -> bool:
        return self.repeat not in (None, 1) and self.stride > 0

    @property
    def _period(self) -> int:
        return self.size + self.stride

    @property
    def _periods(self) -> int:
        return math.ceil((self._covered + self.spread) / self._period)

    @property
    def _covered(self) -> int:
        """From where the first run begins to where the last one ends."""
        return (self.repeat or 1) * self._period - self.stride

    def _turned(self, place: Integers) -> Integers:
        """Places as fractions of a turn."""
        if not self.whole:
            return place
        # Half a step aside, so that rounding cannot move a position over the edge of a run.
        step = ((place >> 1) & 0x7FFFFFFF) % round(self.length)
        return step * _turn(1 / self.length) + _turn(0.5 / self.length)


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
        at &= _TURN - 1
        at += -self.length
        return at

    def of_rows(self, start: int, count: int) -> "Arc":
        """The arc for some rows of the batch, which is dimension 0."""
        alike = self.place.shape[0] == 1
        place = self.place if alike else self.place[start : start + count]
        return Arc(self.position, place, self.length)


def _arc(
    position: Sequence[tuple[Integers, float]], place: Integers, length: float, covered: int
) -> Arc:
    steps = [(count, _turn(each / length)) for count, each in position]
    # What a position does not move along the turn must not make the mask larger.
    moved = [count * step for count, step in steps if step]
    at = sum(moved[1:], moved[0]) if moved else 0
    return Arc(at, place, min(round(covered / length * _TURN), _TURN))


def _turn(fraction: float) -> int:
    """A fraction of a turn as a 31-bit integer."""
    return round(fraction * _TURN) % _TURN
