"""What patterns made of runs have in common: their settings, their places, their scale."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import PatternError, did_you_mean
from dropsmith.patterns._again import again
from dropsmith.patterns._line import Arc
from dropsmith.patterns._pattern import Pattern, check_shared, rows_of_each
from dropsmith.rng import Source, words

PART = 1 << 17
"""Units whose masks stay in cache while they are made."""


def check_count(pattern: Pattern, name: str, value: object, least: int) -> None:
    """Raise `PatternError` unless a setting is a whole number that is not below `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PatternError(
            f"{type(pattern).__name__}: {name} is a whole number, {least} or more; got {value!r}"
        )


def check_places(pattern: Pattern, shared: str, fresh: str, along: tuple[str, ...]) -> None:
    """Raise `PatternError` unless `fresh` names axes of `along` that are not `shared`."""
    check_shared(pattern, shared)
    owner = type(pattern).__name__
    for word in fresh.split() if isinstance(fresh, str) else [fresh]:
        if word not in along:
            raise PatternError(
                f"{owner}: fresh names axes of: {' '.join(along)}; got {word!r}"
                + did_you_mean(str(word), along)
            )
        if word in shared.split():
            raise PatternError(
                f"{owner}: {word!r} is both shared and fresh: one place, or one for each step?"
            )


def places(
    source: Source, axes: Axes, shared: str, held: tuple[int, ...], count: int = 1
) -> Sequence[Tensor]:
    """Random int32, `count` for each index of the dimensions that are neither shared nor `held`."""
    shape = axes.collapse(shared)
    free = tuple(1 if dim in held else size for dim, size in enumerate(shape))
    return words(source, (count, *free)).unbind()


def counted(axes: Axes, shared: str, dim: int, device: torch.device) -> Tensor:
    """Positions along a dimension, shaped to broadcast; the first alone where it is shared."""
    shape = [1] * len(axes.sizes)
    shape[dim] = axes.collapse(shared)[dim]
    return torch.arange(shape[dim], dtype=torch.int32, device=device).view(shape)


def mask_of(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """The mask of what lies on all arcs: each row divided by its kept share, or left whole."""
    dropped, kept, size = _dropped(arcs, axes)
    some = kept > 0
    scale = torch.where(some, size / kept, 1.0).view(torch.int32)
    # Chosen by bits, which costs half of what it costs by products.
    return dropped.bitwise_and_(scale * some).bitwise_xor_(scale).view(torch.float32)


def rows_spared(arcs: Sequence[Arc], axes: Axes) -> Tensor:
    """Which rows keep nothing, and are left whole; broadcasts to the rows of the batch."""
    return _dropped(arcs, axes)[1] == 0


def _dropped(arcs: Sequence[Arc], axes: Axes) -> tuple[Tensor, Tensor, int]:
    """-1 where a unit is dropped, else 0; how many each row keeps, and of how many."""
    signs = arcs[0].signs()
    for arc in arcs[1:]:
        signs = signs & arc.signs()
    dropped = signs.bitwise_right_shift_(31)
    rest = [dim for dim, name in enumerate(axes.names) if name != "batch"]
    size = math.prod([dropped.shape[dim] for dim in rest])
    # Counted in integers, so that no order of adding up can matter.
    lost = dropped.sum(dim=rest, keepdim=True, dtype=torch.int32) if rest else dropped
    return dropped, lost + size, size


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
