"""Products with masks of what lies on arcs. What is small of a draw is kept for backward."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.kernels import self_adjoint
from dropsmith.patterns._line import Arc, Integers, of_rows
from dropsmith.patterns._masks import Rows, cover_of, mask_under, rows_under, sides_of
from dropsmith.patterns._products import SMALL, masks_of, rows_of_each, times
from dropsmith.rng import Source, numpy_serves

PART = 1 << 17
"""Units whose masks stay in cache while they are made."""

Arcs = Callable[[Axes, Source], list[Arc]]
"""Makes the arcs of a pattern from axes and a source."""


class ViewMask:
    """Arcs laid over a view: its mask, whole or by parts.

    Args:
        arcs: of the view.
        axes: of the view.
        rows: the factors of rows, by the first row of a part; those not there are written.
    """

    def __init__(self, arcs: list[Arc], axes: Axes, rows: dict[int, Rows]) -> None:
        self._arcs, self._axes, self._rows = arcs, axes, rows
        self._sides = sides_of(arcs)
        if self._sides is not None and 0 not in rows:
            rows[0] = rows_under(self._sides, axes)

    def mask(self) -> Tensor:
        """The mask of all rows."""
        return self._mask(self._sides or [cover_of(self._arcs)], 0, self._axes)

    def part(self, start: int, count: int) -> Tensor:
        """The mask of `count` rows from `start`, which are in dimension 0."""
        if self._sides is not None:
            sides = [of_rows(side, start, count) for side in self._sides]
            return mask_under(sides, self._rows[0].part(start, count))
        cover = cover_of([arc.of_rows(start, count) for arc in self._arcs])
        return self._mask([cover], start, Axes(self._axes.names, (count, *self._axes.sizes[1:])))

    def _mask(self, covers: list[Integers], start: int, axes: Axes) -> Tensor:
        if start not in self._rows:
            self._rows[start] = rows_under(covers, axes)
        return mask_under(covers, self._rows[start])


class Draws:
    """The draws of one product, which backward asks for again: what is small is kept until then.

    Args:
        arcs: makes the arcs of a pattern from axes and a source.
        room: how many numbers may be kept of a view's arcs, and how many for its rows.
    """

    def __init__(self, arcs: Arcs, room: int) -> None:
        self._arcs, self._room = arcs, room
        self._cache: dict[Source, list[Arc]] = {}
        self._rows: dict[Source, dict[int, Rows]] = {}

    def of(self, axes: Axes, source: Source) -> ViewMask:
        """The mask that was drawn for a view."""
        arcs = self._cache.get(source) or self._arcs(axes, source)
        if sum(arc.numbers for arc in arcs) <= self._room:
            self._cache[source] = arcs
        sizes = zip(axes.names, axes.sizes, strict=True)
        keep_rows = 2 * math.prod([size for name, size in sizes if name == "batch"]) <= self._room
        return ViewMask(arcs, axes, self._rows.setdefault(source, {}) if keep_rows else {})


def drop_on_arcs(
    x: Tensor, names: tuple[str, ...], sources: Sequence[Source], arcs: Arcs
) -> Tensor:
    """`x` times its mask, which is made from the same arcs in backward."""
    shape, views = tuple(x.shape), tuple(sources)
    draws = Draws(arcs, x.numel() // (SMALL * len(views)))

    def draw(axes: Axes, source: Source) -> Tensor:
        return draws.of(axes, source).mask()

    return times(x, lambda: masks_of(draw, shape, names, views))


def worth_parts(x: Tensor, names: tuple[str, ...], shared: str) -> bool:
    """Say whether `drop_in_parts` pays: the mask is large, and rows are dimension 0, on a CPU."""
    if not numpy_serves(x.device) or names[:1] != ("batch",):
        return False
    return math.prod(Axes(names, tuple(x.shape)).collapse(shared)) > PART


def drop_in_parts(
    x: Tensor, names: tuple[str, ...], sources: Sequence[Source], arcs: Arcs
) -> Tensor:
    """`x`, whose rows are dimension 0, times its mask, some rows at a time.

    The mask of as many rows as stay in cache is made and used before the next: on a CPU what is new
    and large costs far more than what is computed.
    """
    rows = rows_of_each(len(sources), x.shape[0])
    shape, views = tuple(x.shape[1:]), tuple(sources)
    part = max(1, PART // math.prod(shape))
    draws = Draws(arcs, x.numel() // (SMALL * len(views)))

    def multiply(y: Tensor) -> Tensor:
        out = torch.empty_like(y)
        for view, source in enumerate(views):
            view_mask = draws.of(Axes(names, (rows, *shape)), source)
            for start in range(0, rows, part):
                count = min(part, rows - start)
                mask, first = view_mask.part(start, count), view * rows + start
                torch.mul(y[first : first + count], mask, out=out[first : first + count])
        return out

    return self_adjoint.self_adjoint(x, multiply)
