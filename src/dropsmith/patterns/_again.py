"""Multiplication by a mask that is kept for backward where it is small, else drawn again there."""

from collections.abc import Callable
from functools import partial

from torch import Tensor

from dropsmith.kernels import self_adjoint
from dropsmith.rng import traced

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
