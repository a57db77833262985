"""Tilings of an image, the pattern that AutoDropout searches for convolutions (Pham & Le 2021).

The paper gives a contiguous block, tiled with a stride and a number of repeats, rotated, sheared
along each axis, and placed at random. No code of it is public: what it leaves open is decided here,
and said to be ours.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.axes import UNKNOWN, Axes
from dropsmith.errors import AxisError, PatternError, excerpt
from dropsmith.patterns._group import Axes2, Group
from dropsmith.patterns._line import Arc, Line
from dropsmith.patterns._masks import mask_of, rows_spared
from dropsmith.patterns._on_arcs import drop_in_parts, drop_on_arcs, worth_parts
from dropsmith.patterns._pattern import Pattern
from dropsmith.patterns._runs import check_count, check_places, places, positions
from dropsmith.rng import Source, traced

_IMAGE = ("height", "width")
_LAST, _FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
"""Channels moved behind the picture, and back."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Tiles(Pattern):
    """Drop squares of `size` × `size` pixels in a rotated, sheared tiling at a random position.

    A pixel is dropped if its centre is covered by the tiling, also at borders, so every pixel is
    dropped with the same probability, `share`. The position is drawn for every row and every
    channel. Kept values are divided by the kept share of their row; a row in which nothing would be
    kept is left unchanged, see `spared_rows`.

    >>> from dropsmith.rng import Key
    >>> axes = Axes.read("batch channel height width", (1, 1, 6, 16))
    >>> mask = Tiles(size=3, stride=3, rotate=30).draw(axes, Source(Key.of(1)))
    >>> for line in (mask[0, 0] > 0).int().tolist():
    ...     print(*line)
    1 1 1 1 1 1 1 1 1 0 0 0 1 1 1 1
    1 0 1 1 1 1 1 1 0 0 0 0 1 1 1 1
    1 0 0 1 1 1 1 1 1 0 0 1 1 1 1 1
    0 0 0 0 1 1 1 1 1 1 1 1 1 1 0 0
    1 0 0 1 1 1 1 1 1 1 1 1 1 1 0 0
    1 1 0 1 1 1 0 0 1 1 1 1 1 1 0 0

    Args:
        size: side of a block in pixels.
        stride: pixels that are kept between two blocks, along both axes.
        repeat: how many blocks along each axis; None tiles all of the map.
        rotate: degrees by which the tiling is rotated, from the width towards the height.
        shear_x: pixels along the width by which the tiling moves for each pixel of height.
        shear_y: the same along the height, for each pixel of width. Shearing is applied
            before rotation, y before x, and keeps areas.
        side: the smaller side of the map for which `size` and `stride` are given. On another map
            both are scaled and rounded, a block to one pixel at least, so that a pattern can be
            used at another resolution. None: sizes are in pixels on every map.
        shared: axes along which position or decision are the same: `channel` gives all channels
            the same tiling, `height width` drops whole channels.
        fresh: those of `height width` along which each pixel has its own position; both together
            are plain dropout.
    """

    size: int
    stride: int
    repeat: int | None = None
    rotate: float = 0.0
    shear_x: float = 0.0
    shear_y: float = 0.0
    side: int | None = None
    shared: str = ""
    fresh: str = ""

    def __post_init__(self) -> None:
        check_count(self, "size", self.size, 1)
        check_count(self, "stride", self.stride, 0)
        for name in ("repeat", "side"):
            if getattr(self, name) is not None:
                check_count(self, name, getattr(self, name), 1)
        for name, most in (("rotate", 360_000), ("shear_x", 1000), ("shear_y", 1000)):
            _check_finite(name, getattr(self, name), most)
        check_places(self, self.shared, self.fresh, _IMAGE)

    def share(self, axes: Axes) -> float:
        """The probability that a unit is dropped, unchanged rows aside."""
        group = self._group(axes)
        return self._line(axes).share ** 2 if group is None else group.share

    def draw(self, axes: Axes, source: Source) -> Tensor:
        return mask_of(self._arcs(axes, source), axes)

    def spared_rows(self, axes: Axes, source: Source) -> Tensor:
        """True for rows that `draw` leaves unchanged, because nothing in them would be kept."""
        return rows_spared(self._arcs(axes, source), axes)

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        if traced():
            return super().drop(x, names, sources)
        if not worth_parts(x, names, self.shared):
            return drop_on_arcs(x, names, sources, self._arcs)
        if x.ndim == 4 and not self.fresh and x.is_contiguous(memory_format=torch.channels_last):
            # In the order of memory. Places are counted by row and channel, in either order alike.
            memory_names = tuple(names[dim] for dim in _LAST)
            return drop_in_parts(x.permute(_LAST), memory_names, sources, self._arcs).permute(
                _FIRST
            )
        return drop_in_parts(x, names, sources, self._arcs)

    def _arcs(self, axes: Axes, source: Source) -> list[Arc]:
        y, x = _picture(axes)
        run_dims = tuple(axes.dim(name) for name in _IMAGE if name not in self.fresh.split())
        down, across = (positions(axes, self.shared, dim, source.device) for dim in (y, x))
        group, line = self._group(axes), self._line(axes)
        counts = (line.whole_places, line.whole_places) if group is None else group.whole_places
        corners = places(source, axes, self.shared, run_dims, counts)
        if group is not None:
            return group.arcs(down, across, (corners[0], corners[1]))
        return [
            line.arc([(down, by_y), (across, by_x)], place)
            for (by_y, by_x), place in zip(self._inverse(), corners, strict=True)
        ]

    def _line(self, axes: Axes) -> Line:
        """Either axis of a tiling of the whole map."""
        is_integral = all(entry.is_integer() for row in self._inverse() for entry in row)
        size, stride = self._sides(axes)
        return Line(size=size, stride=stride, is_integral=is_integral)

    def _group(self, axes: Axes) -> Group | None:
        """The blocks, where they are counted."""
        if self.repeat is None:
            return None
        size, stride = self._sides(axes)
        # Geometry of numbers: sizes that a graph leaves open become those of its example.
        height, width = (int(axes.sizes[dim]) for dim in _picture(axes))
        return Group(
            size=size,
            stride=stride,
            repeat=self.repeat,
            inverse=self._inverse(),
            height=height,
            width=width,
        )

    def _sides(self, axes: Axes) -> tuple[int, int]:
        """Block and gap on the map of these axes."""
        if self.side is None:
            return self.size, self.stride
        scale = min(int(axes.sizes[dim]) for dim in _picture(axes)) / self.side
        minimum = 1 if self.stride else 0
        return max(round(self.size * scale), 1), max(round(self.stride * scale), minimum)

    def _inverse(self) -> Axes2:
        """The matrix that takes a pixel back to the tiling before it was sheared and turned.

        For each axis of the tiling, what a pixel of height and one of width move along it.
        """
        angle = math.radians(self.rotate % 360)
        cos, sin = round(math.cos(angle), 12), round(math.sin(angle), 12)
        x = (sin - self.shear_x * cos, cos + self.shear_x * sin)
        y = (cos - self.shear_y * x[0], -sin - self.shear_y * x[1])
        return y, x


def _picture(axes: Axes) -> tuple[int, int]:
    if any(name not in axes.names for name in _IMAGE):
        hint = '\n  name them in the rule: rule(..., axes="batch channel height width")'
        raise AxisError(
            f"Tiles needs axes height and width\n  this site has: {' '.join(axes.names)}"
            + (hint if UNKNOWN in axes.names else "")
        )
    return axes.dim("height"), axes.dim("width")


def _check_finite(name: str, value: object, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise PatternError(
            f"Tiles: {name} is a finite number, got {excerpt(value)}\n"
            f"  it is from -{most} to {most}"
        )
