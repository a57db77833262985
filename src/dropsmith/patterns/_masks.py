"""Masks of what lies on arcs: each row is divided by its kept share, or left whole."""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.patterns._again import again
from dropsmith.patterns._line import Arc, Integers
from dropsmith.patterns._pattern import rows_of_each
from dropsmith.rng import Source, numpy_serves

FEW = 1 << 14
"""Units whose mask is made by NumPy, a call of which costs a third of a torch call."""
PART = 1 << 17
"""Units whose masks stay in cache while they are made."""


def mask_of(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """The mask of what lies on all arcs: each row divided by its kept share, or left whole."""
    dropped, rest = _dropped(arcs), _within_rows(axes)
    scale, cut = _scale(*_kept(dropped, rest))
    if isinstance(dropped, Tensor):
        scale, cut = _as_tensor(scale), _as_tensor(cut)
    # Chosen by bits, which costs half of what it costs by products.
    dropped &= cut
    dropped ^= scale
    return _as_tensor(dropped).view(torch.float32)


def rows_spared(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """Which rows keep nothing, and are left whole; broadcasts to the rows of the batch."""
    kept, _ = _kept(_dropped(arcs), _within_rows(axes))
    return _as_tensor(kept == 0)


def _dropped(arcs: Sequence[Arc]) -> Integers:
    """-1 where a unit is dropped, else 0."""
    signs = [_fitting(arc).signs() for arc in arcs]
    if all(isinstance(one, np.ndarray) for one in signs):
        # Before they meet: there they are fewer.
        signs = [one >> 31 for one in signs]
        signs = signs if _broadcast(signs) <= FEW else [_as_tensor(one) for one in signs]
        return functools.reduce(operator.and_, signs)
    both = functools.reduce(operator.and_, map(_as_tensor, signs))
    both >>= 31
    return both


def _kept(dropped: Integers, rest: tuple[int, ...]) -> tuple[Integers, int]:
    """How many units each row keeps, and of how many."""
    size = math.prod([dropped.shape[dim] for dim in rest])
    # In integers, so that no order of adding up can matter.
    if isinstance(dropped, np.ndarray):
        return dropped.sum(axis=rest, keepdims=True, dtype=np.int32) + size, size
    lost = dropped.sum(dim=rest, keepdim=True, dtype=torch.int32) if rest else dropped
    return (lost.numpy() if numpy_serves(lost.device) else lost) + size, size


def _scale(kept: Integers, size: int) -> tuple[Integers, Integers]:
    """The bits of what each row's units are multiplied by, and what dropping changes of them."""
    some = kept > 0
    if isinstance(kept, np.ndarray):
        share = np.where(some, kept, size).astype(np.float32) / np.float32(size)
        scale = (np.float32(1) / share).view(np.int32)
    else:
        scale = (1 / (torch.where(some, kept, size) / size)).view(torch.int32)
    return scale, scale * some


def _within_rows(axes: Axes) -> tuple[int, ...]:
    return tuple(dim for dim, name in enumerate(axes.names) if name != "batch")


def _fitting(arc: Arc) -> Arc:
    """An arc in NumPy's arrays where what comes of it is small, else in tensors."""
    place, position = arc.place, arc.position
    if isinstance(place, Tensor):
        return arc
    if isinstance(position, int) or _broadcast((place, position)) <= FEW:
        return arc
    return Arc(_as_tensor(position), _as_tensor(place), arc.length)


def _broadcast(arrays: Sequence[Integers]) -> int:
    """How many units arrays have together. Those of NumPy's own function take as long as a sum."""
    return math.prod([max(sizes) for sizes in zip(*(one.shape for one in arrays), strict=True)])


def _as_tensor(values: Integers) -> Any:
    return torch.from_numpy(values) if isinstance(values, np.ndarray) else values


def worth_parts(x: Tensor, names: tuple[str, ...], shared: str) -> bool:
    """Whether a mask is large enough, and rows are where, for `drop_in_parts`."""
    if not numpy_serves(x.device) or names[:1] != ("batch",):
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
