"""Products of a tensor with its mask, one view of a stacked batch after the other."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from dropsmith.axes import VIEW, Axes
from dropsmith.errors import ViewError
from dropsmith.kernels import self_adjoint
from dropsmith.rng import Source, StackedSources, traced

SMALL = 16
"""A mask is kept where `x` is so many times larger: there it costs more to draw than to hold."""


def times(x: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    """`x` times the mask that `draw` returns, with nothing large kept for the backward pass.

    A compiler, and a transform of `torch.func`, sees the plain product and decides for itself what
    to compute again.

    Args:
        draw: returns the same mask at every call; it should hold neither `x` nor a mask.
    """
    mask = draw()
    if traced() or _small(mask, x):
        return _product(x, mask)
    return self_adjoint.self_adjoint(
        x, lambda tangent: _product(tangent, draw()), first=partial(_product, mask=mask)
    )


def _small(mask: Tensor, x: Tensor) -> bool:
    count = mask.numel()
    return count * mask.element_size() <= self_adjoint.LARGEST_MASK or count * SMALL <= x.numel()


def _product(x: Tensor, mask: Tensor) -> Tensor:
    # Rounded once, after the product: 1 / (1 - rate) in bfloat16 alone is off by up to 0.4 %.
    return (x * mask).to(x.dtype)


def masks_of(
    draw: Callable[[Axes, Source], Tensor],
    shape: tuple[int, ...],
    names: tuple[str, ...],
    sources: Sequence[Source],
) -> Tensor:
    """The masks that `draw` returns for each source, one view of the batch after the other."""
    if len(sources) == 1:
        return draw(Axes(names, shape), sources[0])
    dim = Axes(names, shape).dim("batch")
    rows = rows_of_each(len(sources), shape[dim])
    axes = Axes(names, (*shape[:dim], rows, *shape[dim + 1 :]))
    if isinstance(sources, StackedSources):
        axes = Axes((VIEW, *names), (len(sources), *axes.sizes))
        return join_views(_along(draw(axes, sources.together), dim + 1, rows), dim)
    return torch.cat([_along(draw(axes, source), dim, rows) for source in sources], dim)


def join_views(parts: Tensor, dim: int) -> Tensor:
    """Tensors of views, `[views, ...]`, one after the other along dimension `dim` of each."""
    return parts.movedim(0, dim).flatten(dim, dim + 1)


def rows_of_each(views: int, rows: int) -> int:
    """Return how many rows of a stacked batch each view has; raise `ViewError` for a remainder."""
    if rows % views:
        raise ViewError(
            f"{views} views do not divide a batch of {rows} rows\n"
            "  a stacked batch holds as many rows of each view, one view after the other"
        )
    return rows // views


def _along(mask: Tensor, dim: int, rows: int) -> Tensor:
    return mask.expand(*mask.shape[:dim], rows, *mask.shape[dim + 1 :])
