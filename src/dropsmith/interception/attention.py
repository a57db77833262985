"""Scaled dot-product attention written out, so that its probabilities can be dropped and read."""

import math
from collections.abc import Callable

import torch
from torch import Tensor


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    drop: Callable[[Tensor], Tensor],
) -> Tensor:
    """What `F.scaled_dot_product_attention` returns, with `drop` applied to the probabilities.

    Shapes as in torch: query `[..., head, time, unit]`, key and value likewise.

    >>> q = torch.ones(1, 1, 2, 4)
    >>> attend(q, q, q, drop=lambda weights: weights).shape
    torch.Size([1, 1, 2, 4])
    """
    if enable_gqa:
        repeats = query.size(-3) // key.size(-3)
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    weights = probabilities(query, key, attn_mask, is_causal, scale)
    return drop(weights.to(value.dtype)) @ value


def probabilities(
    query: Tensor,
    key: Tensor,
    attn_mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Attention probabilities `[..., head, time, time]`, before any dropout.

    A query that may look nowhere gets zeros, as torch's fused kernels give it.
    """
    factor = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = (query @ key.transpose(-2, -1)) * factor
    if is_causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~allowed, -math.inf)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    nowhere = (scores == -math.inf).all(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(nowhere, 0.0), dim=-1)
    return weights.masked_fill(nowhere, 0.0)
