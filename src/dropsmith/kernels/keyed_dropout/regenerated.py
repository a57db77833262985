"""The reference with its mask drawn again in backward: eager code where the chunks do not reach."""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.keyed_dropout import reference
from dropsmith.rng import Key


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    return _Regenerated.apply(x, keys, rate)  # pyright: ignore[reportReturnType]


class _Regenerated(torch.autograd.Function):
    """Multiplication by a mask that is its own derivative, so backward is forward again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
        ctx.keys, ctx.rate = keys, rate
        return reference.keyed_dropout(x, keys, rate)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:
        # Through `apply`, so that a second derivative passes the same mask again.
        return _Regenerated.apply(grads[0], ctx.keys, ctx.rate), None, None  # pyright: ignore
