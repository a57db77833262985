"""Products with masks of what lies on arcs. What is small of a draw is kept for backward."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.patterns._again import SMALL, again, times
from dropsmith.patterns._line import Arc
from dropsmith.patterns._masks import Rows, covers_of, mask_under, rows_under
from dropsmith.patterns._pattern import masks_of, rows_of_each
from dropsmith.rng import Source, numpy_serves

PART = 1 << 17
"""Units whose masks stay in cache while they are made."""

Arcs = Callable[[Axes, Source], list[Arc]]
"""Makes the arcs of a pattern from axes and a source."""


class Draws:
    """What a product needs of its draws; of that, what is small is kept, for backward asks again.

    Args:
        arcs: makes the arcs of a pattern from axes and a source.
        room: how many numbers of them may be kept.
    """

    def __init__(self, arcs: Arcs, room: int) -> None:
        self._arcs, self._room = arcs, room
        self._found: dict[Source, list[Arc]] = {}
        self._rows: dict[tuple[Source, int], Rows] = {}

    def arcs(self, axes: Axes, source: Source) -> list[Arc]:
        """The arcs of a view."""
        if source in self._found:
            return self._found[source]
        arcs = self._arcs(axes, source)
        if sum(arc.numbers for arc in arcs) <= self._room:
            self._found[source] = arcs
        return arcs

    def mask(self, arcs: list[Arc], axes: Axes, source: Source, start: int = 0) -> Tensor:
        """The mask of the rows of a view from `start` on, whose arcs these are."""
        covers = covers_of(arcs)
        if (source, start) not in self._rows:
            self._rows[source, start] = rows_under(covers, axes)
        return mask_under(covers, self._rows[source, start])


def drop_on_arcs(
    x: Tensor, names: tuple[str, ...], sources: Sequence[Source], arcs: Arcs
) -> Tensor:
    """`x` times its mask, which is made from the same arcs in backward."""
    shape, views = tuple(x.shape), tuple(sources)
    draws = Draws(arcs, x.numel() // (SMALL * len(views)))

    def draw(axes: Axes, source: Source) -> Tensor:
        return draws.mask(draws.arcs(axes, source), axes, source)

    return times(x, lambda: masks_of(draw, shape, names, views))


def worth_parts(x: Tensor, names: tuple[str, ...], shared: str) -> bool:
    """Whether a mask is large enough, and rows are where, for `drop_in_parts`."""
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
            found = draws.arcs(Axes(names, (rows, *shape)), source)
            for start in range(0, rows, part):
                count = min(part, rows - start)
                of_part = [arc.of_rows(start, count) for arc in found]
                mask = draws.mask(of_part, Axes(names, (count, *shape)), source, start)
                first = view * rows + start
                torch.mul(y[first : first + count], mask, out=out[first : first + count])
        return out

    return again(x, multiply)
