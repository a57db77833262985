"""Masks of what lies on arcs: each row is divided by its kept share, or left whole."""

import functools
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.patterns._line import Arc, Integers, before, of_rows, together
from dropsmith.rng import numpy_serves

FEW = 1 << 14
"""Units whose mask is made by NumPy, a call of which costs a third of a torch call."""
FEWER = 4
"""Covers stay apart where they are together so many times smaller than what they cover."""


@dataclass(frozen=True)
class Rows:
    """The bits of what each row's units are multiplied by, and what dropping changes of them."""

    scale: Integers
    cut: Integers

    def part(self, start: int, count: int) -> "Rows":
        """Those of `count` rows from `start`, in dimension 0."""
        return Rows(of_rows(self.scale, start, count), of_rows(self.cut, start, count))


def mask_of(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """The mask of what lies on all arcs: each row divided by its kept share, or left whole."""
    covers = covers_of(arcs)
    return mask_under(covers, rows_under(covers, axes))


def rows_spared(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """Which rows keep nothing, and are left whole; broadcasts to the rows of the batch."""
    lost, size = _lost(covers_of(arcs), axes)
    return _as_tensor(lost == size)


def covers_of(arcs: Sequence[Arc]) -> list[Integers]:
    """Integers that are -1 or 0: a unit is dropped where it is under all of these.

    Either all are NumPy's arrays or all are tensors, and all are new.
    """
    return sides_of(arcs) or [cover_of(arcs)]


def sides_of(arcs: Sequence[Arc]) -> list[Integers] | None:
    """The covers where they are far smaller than what is under all of them: sides of rectangles."""
    shapes = [arc.shape for arc in arcs]
    if sum([math.prod(shape) for shape in shapes]) * FEWER > math.prod(together(shapes)):
        return None
    covers = [_fitting(arc).signs() >> 31 for arc in arcs]
    return covers if _few(covers) else [_as_tensor(one) for one in covers]


def cover_of(arcs: Sequence[Arc]) -> Integers:
    """What is under all arcs, as one cover."""
    found = [(_fitting(arc).at(), arc.end) for arc in arcs]
    if not _few([at for at, _ in found]):
        found = [(_as_tensor(at), end) for at, end in found]
    return _met(found)


def _met(found: list[tuple[Integers, int]]) -> Integers:
    """-1 where all positions are below their ends, else 0."""
    furthest: dict[int, Integers] = {}
    for at, end in found:
        furthest[end] = _larger(furthest[end], at) if end in furthest else at
    signs = [before(at, end) for end, at in furthest.items()]
    both = functools.reduce(operator.and_, signs)
    both >>= 31
    return both


def _larger(one: Integers, other: Integers) -> Integers:
    return np.maximum(one, other) if isinstance(one, np.ndarray) else torch.maximum(one, other)


def rows_under(covers: Sequence[Integers], axes: Axes) -> Rows:
    """What the rows of a mask are multiplied by."""
    lost, size = _lost(covers, axes)
    kept = size - lost
    some = kept > 0
    if isinstance(kept, np.ndarray):
        # A row without units keeps none of none.
        size = max(size, 1)
        share = np.where(some, kept, size).astype(np.float32) / np.float32(size)
        scale = (np.float32(1) / share).view(np.int32)
    else:
        scale = (1 / (torch.where(some, kept, size) / size)).view(torch.int32)
    return Rows(scale, scale * some)


def mask_under(covers: Sequence[Integers], rows: Rows) -> Tensor:
    """The mask of what is under all covers; one that is alone is written over."""
    first, *others = covers
    scale, cut = rows.scale, rows.cut
    if isinstance(first, Tensor):
        scale, cut = _as_tensor(scale), _as_tensor(cut)
    # Chosen by bits, which costs half of what it costs by products.
    if others:
        first = functools.reduce(operator.and_, others, first & cut)
    else:
        first &= cut
    first ^= scale
    return _as_tensor(first).view(torch.float32)


def _lost(covers: Sequence[Integers], axes: Axes) -> tuple[Integers, int]:
    """How many units of each row are dropped, and of how many.

    In integers, so that no order of adding up can matter.
    """
    rest = tuple(dim for dim, name in enumerate(axes.names) if name != "batch")
    whole = together([tuple(one.shape) for one in covers])
    size = math.prod([whole[dim] for dim in rest])
    if len(covers) == 1:
        lost = -_sum(covers[0], rest)
    else:
        # Where one cover alone varies it is added up before they meet.
        sides = [-_sum(one, _alone(one, covers, rest)) for one in covers]
        lost = _sum(functools.reduce(operator.mul, sides), rest)
    few = isinstance(lost, Tensor) and numpy_serves(lost.device)
    return (lost.numpy() if few else lost), size


def _alone(cover: Integers, covers: Sequence[Integers], rest: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions along which no other cover varies."""
    others = [one for one in covers if one is not cover]
    return tuple(dim for dim in rest if all(one.shape[dim] == 1 for one in others))


def _sum(values: Integers, dims: tuple[int, ...]) -> Integers:
    if isinstance(values, np.ndarray):
        return values.sum(axis=dims, keepdims=True, dtype=np.int32)
    # Torch takes no dimensions for all of them.
    return values.sum(dim=dims, keepdim=True, dtype=torch.int32) if dims else values


def _fitting(arc: Arc) -> Arc:
    """An arc in NumPy's arrays where what comes of it is small, else in tensors."""
    place, position = arc.place, arc.position
    if isinstance(place, Tensor):
        return arc
    if isinstance(position, int) or math.prod(arc.shape) <= FEW:
        return arc
    return Arc(_as_tensor(position), _as_tensor(place), arc.end)


def _few(arrays: Sequence[Integers]) -> bool:
    """Whether all are NumPy's, and few together."""
    if not all(isinstance(one, np.ndarray) for one in arrays):
        return False
    return math.prod(together([one.shape for one in arrays])) <= FEW


def _as_tensor(values: Integers) -> Any:
    return torch.from_numpy(values) if isinstance(values, np.ndarray) else values
