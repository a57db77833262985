"""Products by oneDNN, through the operation that `prepacked_matmul.onednn` checks for."""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.large_matmul import reference


def is_allowed() -> bool:
    """Say whether autocast is off, which would compute in another type."""
    return not torch.is_autocast_enabled("cpu")


def product(a: Tensor, b: Tensor) -> Tensor:
    """See `dropsmith.kernels.large_matmul.large_matmul`."""
    return torch.ops.mkldnn._linear_pointwise(_dense(a), _dense(b), None, "none", [], "")


def _dense(matrix: Tensor) -> Tensor:
    """The matrix without gaps between rows or columns, which make products far slower."""
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """See `dropsmith.kernels.large_matmul.large_linear`."""
    # Not in forward: the saved tensors must be inputs, with their place in the graph.
    return _Linear.apply(x.contiguous(), weight.contiguous(), bias)  # pyright: ignore


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:  # pyright: ignore
        x, weight = ctx.saved_tensors
        grad = grads[0].reshape(-1, grads[0].shape[-1])
        multiply = reference.product if torch.is_grad_enabled() else product
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            multiply(grad, weight.t()).view_as(x) if for_x else None,
            multiply(grad.t(), x.reshape(-1, x.shape[-1]).t()) if for_weight else None,
            grad.sum(0) if for_bias else None,
        )
