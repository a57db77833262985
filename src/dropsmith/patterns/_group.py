"""A group of blocks, turned and sheared, somewhere on a canvas that is larger than the map.

The canvas closes like a torus and is as much larger as the group is long: the group meets the
map once at most, and each pixel with the same chance. Nothing is drawn on it. A pixel knows how far
it is from the group's corner, and from there how far along the group's own two axes.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch

from dropsmith.patterns._line import TURN, Arc, Integers, arc_length, turns, whole_place
from dropsmith.portable import call, exporting, times_fraction

Axes2 = tuple[tuple[float, float], tuple[float, float]]
"""For each axis of the group, what a pixel of height and one of width move along it."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """`repeat` × `repeat` blocks of `size` pixels with gaps of `stride`.

    Args:
        size: side of a block.
        stride: length of the gap between two blocks.
        repeat: blocks along each axis.
        inverse: the matrix that takes a pixel back to the group before it was sheared and turned.
        height: of the map.
        width: of the map.
    """

    size: int
    stride: int
    repeat: int
    inverse: Axes2
    height: int
    width: int

    @property
    def share(self) -> float:
        """The chance that a pixel is dropped."""
        return (self.repeat * self.size) ** 2 / math.prod(self._canvas)

    def arcs(
        self, down: Integers, across: Integers, places: tuple[Integers, Integers]
    ) -> list[Arc]:
        """Parts of turns, in all of which a pixel is where a block covers it.

        Args:
            down: whole numbers, the pixels' along the height.
            across: the same along the width.
            places: random int32 for either.
        """
        distances = [
            self._distance(pixel, place, length)
            for pixel, place, length in zip((down, across), places, self._canvas, strict=True)
        ]
        return [arc for axis in (0, 1) for arc in self._along(axis, distances)]

    @property
    def is_integral(self) -> bool:
        """Say whether pixels are at whole numbers of the group, too."""
        return all(entry.is_integer() for row in self.inverse for entry in row)

    @property
    def whole_places(self) -> tuple[int | None, int | None]:
        """How many places there are along height and width, where places are whole numbers."""
        height, width = self._canvas
        return (round(height), round(width)) if self.is_integral else (None, None)

    @property
    def _side(self) -> int:
        return self.repeat * (self.size + self.stride) - self.stride

    @property
    def _corners(self) -> list[tuple[float, float]]:
        """The corners of the group on the map, by height and width."""
        (yy, yx), (xy, xx) = self.inverse
        # Whole pixels have centres: their corners are those of the last.
        last = self._side - 1 if self.is_integral else self._side
        ends = product((0, last), repeat=2)
        # The inverse of a matrix that keeps areas.
        return [(xx * v - yx * u, yy * u - xy * v) for v, u in ends]

    @property
    def _canvas(self) -> tuple[float, float]:
        """Height and width of the torus on which the group lies."""
        margin = 0 if self.is_integral else -1
        height, width = (
            size + margin + max(ends) - min(ends)
            for size, ends in zip(
                (self.height, self.width), zip(*self._corners, strict=True), strict=True
            )
        )
        return height, width

    def _distance(self, pixel: Integers, place: Integers, length: float) -> Integers:
        """The way along the canvas from the group to pixels: in pixels, or as parts of a turn."""
        if self.is_integral:
            return (pixel + whole_place(place, round(length))) % round(length)
        return (pixel * turns(1 / length) + place) & (TURN - 1)

    def _along(self, axis: int, distances: list[Integers]) -> list[Arc]:
        """The arcs of one axis of the group."""
        period = self.size + self.stride
        start, reach = self._reach(axis)
        periods = math.ceil(reach / period)
        length = periods * period
        shifts = [
            self._shift(distance, factor, side, length)
            for distance, factor, side in zip(
                distances, self.inverse[axis], self._canvas, strict=True
            )
        ]
        begin = turns((start + (0.5 if self.is_integral else 0.0)) / length)
        place, position = (
            (shifts[0] + begin, shifts[1])
            if not isinstance(shifts[0], int)
            else (shifts[1] + begin, 0)
        )
        arcs = [Arc.of(position, place, arc_length(self._side / length))]
        if self.repeat > 1 and self.stride:
            # As many turns of one block and its gap as fit into the turn, at the same place.
            within = arc_length(self.size / period)
            arcs.append(Arc.of(position * periods, place * periods, within))
        return arcs

    def _reach(self, axis: int) -> tuple[float, float]:
        """The corner of the canvas on an axis, and the length that a turn has to have."""
        corner = [min(ends) for ends in zip(*self._corners, strict=True)]
        factors = self.inverse[axis]
        start = sum(factor * x for factor, x in zip(factors, corner, strict=True))
        extents = [factor * side for factor, side in zip(factors, self._canvas, strict=True)]
        high, low = (start + sum(f(0.0, extent) for extent in extents) for f in (max, min))
        return start, max(high, self._side - low) + 1

    def _shift(self, distance: Integers, factor: float, side: float, length: float) -> Integers:
        """The way along an axis, as parts of a turn of `length`; 0 where nothing moves."""
        if not factor:
            return 0
        if self.is_integral:
            return distance * turns(factor / length)
        return _times(distance, round(factor * side / length * TURN))


def _times(parts: Integers, factor: int) -> Integers:
    """Parts of a turn times a factor, which is one too: a product of 62 bits."""
    if exporting():
        return call(times_fraction, parts, factor, types=(torch.int32,))
    if isinstance(parts, np.ndarray):
        return ((parts.astype(np.int64) * factor >> 31) & (TURN - 1)).astype(np.int32)
    return ((parts.long() * factor >> 31) & (TURN - 1)).to(torch.int32)
