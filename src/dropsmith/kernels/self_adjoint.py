"""Products with a mask that is drawn again in every derivative instead of being stored.

A mask multiplies elementwise, so the product is linear and self-adjoint: backward and forward mode
apply the same product to a gradient or a tangent, to any order.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dropsmith.transforms import outside_transforms, transformed

LARGEST_MASK = 1 << 16
"""Bytes of the largest mask that is stored for backward; smaller ones cost more to draw."""

Product = Callable[[Tensor], Tensor]
"""Multiplies a tensor by a mask, the same mask at every call."""


def self_adjoint(x: Tensor, multiply: Product, first: Product | None = None) -> Tensor:
    """`multiply(x)`, whose derivatives call `multiply` again and store nothing else.

    Args:
        x: a tensor that no transform of `torch.func` has wrapped.
        multiply: the product; it should hold neither `x` nor a large mask.
        first: the same product for the forward pass alone, if its mask exists already.
    """
    return _SelfAdjoint.apply(x, multiply, first or multiply)  # pyright: ignore[reportReturnType]


class _SelfAdjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, multiply: Product, first: Product) -> Tensor:
        ctx.multiply = multiply
        return first(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _derivative(grads[0], ctx.multiply), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return _derivative(tangents[0], ctx.multiply)


def _derivative(tangent: Tensor, multiply: Product) -> Tensor:
    if not transformed(tangent):
        return self_adjoint(tangent, multiply)
    # `vmap` runs backward for many gradients at once, which share the mask.
    dtype = torch.promote_types(tangent.dtype, torch.float32)
    with outside_transforms():
        mask = multiply(torch.ones(tangent.shape, dtype=dtype, device=tangent.device))
    return (tangent * mask).to(tangent.dtype)
