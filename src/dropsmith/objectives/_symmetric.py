"""Symmetric KL whose backward pass keeps no buffer but the scores."""

from typing import Any

import torch
from torch import Tensor


def wide(a: Tensor, b: Tensor) -> torch.dtype:
    """The type to compute in: float32, or float64 where a tensor has it."""
    if a.dtype == b.dtype and a.dtype in (torch.float32, torch.float64):
        return a.dtype
    return torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)


def log_ratio(log_p: Tensor, log_q: Tensor, zero_mask: Tensor) -> Tensor:
    """log p − log q, and 0 without a gradient where `zero_mask` is True."""
    return (log_p - log_q).masked_fill_(zero_mask, 0)


def plain_symmetric_kl(a: Tensor, b: Tensor) -> Tensor:
    """½ Σ (p − q)(log p − log q) over the last dimension of two tensors of scores."""
    p, q, ratio = _parts(a, b)
    # Rounding in exp may turn the sign of p − q where p and q are one step apart.
    return ((p - q) * ratio).clamp(min=0).sum(-1) / 2


class SymmetricKL(torch.autograd.Function):
    """`plain_symmetric_kl` with a backward pass of its own.

    Autograd would keep six tensors as large as the scores. The derivative by the scores of p has a
    closed form, ½ [p (d − Σ p d) + p − q] with d = log p − log q, so backward computes them again
    instead. It is made of differentiable steps: second derivatives exist.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        return plain_symmetric_kl(a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        p, q, ratio = _parts(a, b)
        gap, half = p - q, grads[0].unsqueeze(-1) / 2
        to_a, to_b = ctx.needs_input_grad
        return (
            _slope(p, ratio, gap) * half if to_a else None,
            _slope(q, ratio, gap) * -half if to_b else None,
        )


def _parts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dtype = wide(a, b)
    log_p, log_q = a.log_softmax(-1, dtype=dtype), b.log_softmax(-1, dtype=dtype)
    never = log_p.isneginf() & log_q.isneginf()
    return log_p.exp(), log_q.exp(), log_ratio(log_p, log_q, never)


def _slope(p: Tensor, ratio: Tensor, gap: Tensor) -> Tensor:
    products = p * ratio
    return torch.addcmul(products + gap, p, -products.sum(-1, keepdim=True))
