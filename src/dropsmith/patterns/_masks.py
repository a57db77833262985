"""Masks from arcs: each row is divided by its kept share, or left unchanged if nothing is kept."""

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
from dropsmith.patterns._line import Arc, Integers, before, broadcast_shape, of_rows
from dropsmith.portable import exporting
from dropsmith.rng import numpy_serves

NUMPY_UNITS = 1 << 14
"""Units whose mask is made by NumPy, a call of which costs a third of a torch call."""
SIDE_RATIO = 4
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
    if exporting():
        return _plain_mask(arcs, axes)
    covers = covers_of(arcs)
    return mask_under(covers, rows_under(covers, axes))


def _plain_mask(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """`mask_of` without reading floats as integers, which graphs of other runtimes cannot say."""
    dropped = functools.reduce(operator.and_, [arc.signs() < 0 for arc in arcs])
    rest = axes.inside_rows()
    size = math.prod([dropped.shape[dim] for dim in rest])
    kept = size - (dropped.sum(rest, keepdim=True, dtype=torch.int32) if rest else dropped.int())
    scale = 1 / (torch.where(kept > 0, kept, size) / size)
    return torch.where(dropped & (kept > 0), 0.0, scale)


def rows_spared(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """True for rows that keep nothing and are left whole; broadcasts to the batch's rows."""
    drop_counts, size = _count_drops(covers_of(arcs), axes)
    return _as_tensor(drop_counts == size)


def covers_of(arcs: Sequence[Arc]) -> list[Integers]:
    """Integers that are -1 or 0: a unit is dropped where it is under all of these.

    Either all are NumPy's arrays or all are tensors, and all are new.
    """
    return sides_of(arcs) or [cover_of(arcs)]


def sides_of(arcs: Sequence[Arc]) -> list[Integers] | None:
    """The covers where they are far smaller than what is under all of them: sides of rectangles."""
    shapes = [arc.shape for arc in arcs]
    if sum([math.prod(shape) for shape in shapes]) * SIDE_RATIO > math.prod(
        broadcast_shape(shapes)
    ):
        return None
    covers = [_fitting(arc).signs() >> 31 for arc in arcs]
    return covers if _fit_numpy(covers) else [_as_tensor(cover) for cover in covers]


def cover_of(arcs: Sequence[Arc]) -> Integers:
    """One cover of all that is under all arcs."""
    bounds = [(_fitting(arc).at(), arc.end) for arc in arcs]
    if not _fit_numpy([at for at, _ in bounds]):
        bounds = [(_as_tensor(at), end) for at, end in bounds]
    return _intersect(bounds)


def _intersect(bounds: list[tuple[Integers, int]]) -> Integers:
    """-1 where all positions are below their ends, else 0."""
    furthest: dict[int, Integers] = {}
    for at, end in bounds:
        furthest[end] = _larger(furthest[end], at) if end in furthest else at
    signs = [before(at, end) for end, at in furthest.items()]
    cover = functools.reduce(operator.and_, signs)
    cover >>= 31
    return cover


def _larger(a: Integers, b: Integers) -> Integers:
    return np.maximum(a, b) if isinstance(a, np.ndarray) else torch.maximum(a, b)


def rows_under(covers: Sequence[Integers], axes: Axes) -> Rows:
    """The factors of a mask's rows."""
    drop_counts, size = _count_drops(covers, axes)
    keep_counts = size - drop_counts
    nonempty = keep_counts > 0
    if isinstance(keep_counts, np.ndarray):
        # A row without units keeps none of none.
        size = max(size, 1)
        share = np.where(nonempty, keep_counts, size).astype(np.float32) / np.float32(size)
        scale = (np.float32(1) / share).view(np.int32)
    else:
        scale = (1 / (torch.where(nonempty, keep_counts, size) / size)).view(torch.int32)
    return Rows(scale, scale * nonempty)


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


def _count_drops(covers: Sequence[Integers], axes: Axes) -> tuple[Integers, int]:
    """The number of units that are dropped in each row, and the number of its units.

    In integers, so that no order of adding up can matter.
    """
    rest = tuple(axes.inside_rows())
    shape = broadcast_shape([tuple(cover.shape) for cover in covers])
    size = math.prod([shape[dim] for dim in rest])
    if len(covers) == 1:
        drop_counts = -_sum(covers[0], rest)
    else:
        # Where one cover alone varies it is added up before they meet.
        sides = [-_sum(cover, _private_dims(cover, covers, rest)) for cover in covers]
        drop_counts = _sum(functools.reduce(operator.mul, sides), rest)
    on_numpy = isinstance(drop_counts, Tensor) and numpy_serves(drop_counts.device)
    return (drop_counts.numpy() if on_numpy else drop_counts), size


def _private_dims(
    cover: Integers, covers: Sequence[Integers], rest: tuple[int, ...]
) -> tuple[int, ...]:
    """The dimensions along which no other cover varies."""
    others = [other for other in covers if other is not cover]
    return tuple(dim for dim in rest if all(other.shape[dim] == 1 for other in others))


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
    if isinstance(position, int) or math.prod(arc.shape) <= NUMPY_UNITS:
        return arc
    return Arc(_as_tensor(position), _as_tensor(place), arc.end)


def _fit_numpy(arrays: Sequence[Integers]) -> bool:
    """Say whether all are NumPy's, and no more than it serves well."""
    if not all(isinstance(array, np.ndarray) for array in arrays):
        return False
    return math.prod(broadcast_shape([array.shape for array in arrays])) <= NUMPY_UNITS


def _as_tensor(values: Integers) -> Any:
    return torch.from_numpy(values) if isinstance(values, np.ndarray) else values
