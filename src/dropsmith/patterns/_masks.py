"""Masks of what lies on arcs: each row is divided by its kept share, or left whole."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.patterns._again import again
from dropsmith.patterns._line import Arc, Integers
from dropsmith.patterns._pattern import rows_of_each
from dropsmith.rng import Source

FEW = 1 << 14
"""Units whose mask is made by NumPy, a call of which costs a third of a torch call."""
PART = 1 << 17
"""Units whose masks stay in cache while they are made."""


def mask_of(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """The mask of what lies on all arcs: each row divided by its kept share, or left whole."""
    arcs = _fitting(arcs)
    dropped, rest = _dropped(arcs), _within_rows(axes)
    size = math.prod([dropped.shape[dim] for dim in rest])
    if isinstance(dropped, np.ndarray):
        return _few(dropped, rest, size)
    kept = _sum(dropped, rest) + size
    some = kept > 0
    scale = (1 / (torch.where(some, kept, size) / size)).view(torch.int32)
    # Chosen by bits, which costs half of what it costs by products.
    return dropped.bitwise_and_(scale * some).bitwise_xor_(scale).view(torch.float32)


def rows_spared(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """Which rows keep nothing, and are left whole; broadcasts to the rows of the batch."""
    dropped, rest = _dropped([_as_tensors(arc) for arc in arcs]), _within_rows(axes)
    return _sum(dropped, rest) == -math.prod([dropped.shape[dim] for dim in rest])


def _few(dropped: np.ndarray, rest: tuple[int, ...], size: int) -> Tensor:
    """The same lines in NumPy."""
    kept = dropped.sum(axis=rest, keepdims=True, dtype=np.int32) + size
    some = kept > 0
    share = np.where(some, kept, size).astype(np.float32) / np.float32(size)
    scale = (np.float32(1) / share).view(np.int32)
    dropped &= scale * some
    dropped ^= scale
    return torch.from_numpy(dropped.view(np.float32))


def _dropped(arcs: Sequence[Arc]) -> Integers:
    """-1 where a unit is dropped, else 0."""
    signs = arcs[0].signs()
    for arc in arcs[1:]:
        signs = signs & arc.signs()
    signs >>= 31
    return signs


def _sum(dropped: Tensor, rest: tuple[int, ...]) -> Tensor:
    # In integers, so that no order of adding up can matter.
    return dropped.sum(dim=rest, keepdim=True, dtype=torch.int32) if rest else dropped


def _within_rows(axes: Axes) -> tuple[int, ...]:
    return tuple(dim for dim, name in enumerate(axes.names) if name != "batch")


def _fitting(arcs: Sequence[Arc]) -> Sequence[Arc]:
    """Arcs in NumPy's arrays where what comes of them is small, else in tensors."""
    if isinstance(arcs[0].place, Tensor):
        return arcs
    arrays = [one for arc in arcs for one in (arc.place, arc.position)]
    if math.prod(np.broadcast_shapes(*(np.shape(one) for one in arrays))) <= FEW:
        return arcs
    return [_as_tensors(arc) for arc in arcs]


def _as_tensors(arc: Arc) -> Arc:
    position, place = (
        torch.from_numpy(one) if isinstance(one, np.ndarray) else one
        for one in (arc.position, arc.place)
    )
    return Arc(position, place, arc.length)


def worth_parts(x: Tensor, names: tuple[str, ...], shared: str) -> bool:
    """Whether a mask is large enough, and rows are where, for `drop_in_parts`."""
    if x.device.type != "cpu" or torch.compiler.is_compiling() or names[0] != "batch":
        return False
    return math.prod(Axes(names, tuple(x.shape)).collapse(shared)) > PART


def drop_in_parts(
    x: Tensor, names: tuple[str, ...], sources: Sequence[Source], arcs: Callable[..., list[Arc]]
) -> Tensor:
    """`x`, whose rows are dimension 0, times its mask, some rows at a time.

    The mask of as many rows as stay in cache is made and used before the next: on a CPU what is new
    and large costs far more than what is computed.

    Args:
        arcs: makes the arcs of a pattern from axes and a source.
    """
    rows = rows_of_each(len(sources), x.shape[0])
    shape, views = tuple(x.shape[1:]), tuple(sources)
    part = max(1, PART // math.prod(shape))

    def multiply(y: Tensor) -> Tensor:
        out = torch.empty_like(y)
        for view, source in enumerate(views):
            found = arcs(Axes(names, (rows, *shape)), source)
            for start in range(0, rows, part):
                count = min(part, rows - start)
                axes = Axes(names, (count, *shape))
                mask = mask_of([arc.of_rows(start, count) for arc in found], axes)
                first = view * rows + start
                torch.mul(y[first : first + count], mask, out=out[first : first + count])
        return out

    return again(x, multiply)
