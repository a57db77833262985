"""Multiplication by a mask that is drawn again in backward instead of being kept."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

SMALL = 16
"""A mask is kept where `x` is so many times larger: there it costs more to draw than to hold."""


def times(x: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    """`x` times the mask that `draw` returns, with nothing large kept for the backward pass.

    The mask is its own derivative, so backward is the same product on the gradient. A compiler
    sees the plain product and decides for itself what to compute again.

    Args:
        draw: returns the same mask at every call; it should hold neither `x` nor a mask.
    """
    mask = draw()
    if torch.compiler.is_compiling():
        return _product(x, mask)
    if mask.numel() * SMALL <= x.numel():
        return _Again.apply(x, lambda part: _product(part, mask), None)  # pyright: ignore
    return _Again.apply(x, lambda part: _product(part, draw()), mask)  # pyright: ignore


def again(x: Tensor, multiply: Callable[[Tensor], Tensor]) -> Tensor:
    """`multiply(x)`, and in backward `multiply` of the gradient.

    Args:
        multiply: the product with a mask, the same mask at every call.
    """
    if torch.compiler.is_compiling():
        return multiply(x)
    return _Again.apply(x, multiply, None)  # pyright: ignore[reportReturnType]


class _Again(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, multiply: Callable[[Tensor], Tensor], mask: Tensor | None
    ) -> Tensor:
        ctx.multiply = multiply
        return multiply(x) if mask is None else _product(x, mask)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:
        # Through `apply`, so that a second derivative passes the same mask again.
        passed: Any = _Again.apply(grads[0], ctx.multiply, None)
        return passed, None, None


def _product(x: Tensor, mask: Tensor) -> Tensor:
    # Rounded once, after the product: 1 / (1 - rate) in bfloat16 alone is off by up to 0.4 %.
    return (x * mask).to(x.dtype)
