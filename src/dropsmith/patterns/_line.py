"""One line of a tiling: runs at equal gaps, at a random place, asked at each position.

Positions are 32-bit fractions of a turn and add with wrap-around, so there is no canvas to draw on,
nothing to cut out and no border: a position is inside a run or not, and a place that is uniform
over the turn gives every position the same chance. All of it is integer arithmetic, the same
in eager and compiled code and on any device.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

_TURN = 1 << 32
_HALF = 1 << 31


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

    def holds(self, position: Sequence[tuple[Tensor, float]], place: Tensor) -> Tensor:
        """Whether a run covers a position: booleans that broadcast positions against places.

        Args:
            position: whole numbers and what each counts; their products are added up.
            place: random int32, from which the place of the runs follows.
        """
        at = self._turned(place)
        inside = _within(position, at, self.length, self._covered)
        if not self._tiled:
            return inside
        # As many turns of one run and its gap as fit into the turn, at the same place.
        return inside & _within(position, at * self._periods, self._period, self.size)

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

    def _turned(self, place: Tensor) -> Tensor:
        """Places as fractions of a turn."""
        if not self.whole:
            return place
        # Half a step aside, so that rounding cannot move a position over the edge of a run.
        step = ((place >> 1) & 0x7FFFFFFF) % round(self.length)
        return step * _turn(1 / self.length) + _turn(0.5 / self.length)


def _within(
    position: Sequence[tuple[Tensor, float]], place: Tensor, length: float, covered: int
) -> Tensor:
    """Whether positions, counted from the place, are in the first `covered` of a turn."""
    at = place + _turn(0.5)  # the smallest integer is where the turn begins
    for count, each in position:
        if step := _turn(each / length):
            at = at + count * step
    return at <= min(round(covered / length * _TURN), _TURN) - 1 - _HALF


def _turn(fraction: float) -> int:
    """A fraction of a turn as a signed 32-bit integer."""
    word = round(fraction * _TURN) % _TURN
    return word - _TURN if word >= _HALF else word
