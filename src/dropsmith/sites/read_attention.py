"""Attention probabilities that a call is about to use, whoever computes them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dropsmith.sites.attention import probabilities
from dropsmith.sites.calls import MULTI_HEAD, multi_head_arguments


def sums_to_one(value: Tensor) -> bool:
    """Whether a tensor can be `[..., time, time]` probabilities: its rows sum to one, or zero."""
    if value.ndim < 3 or not value.is_floating_point():
        return False
    sums = value.detach().sum(-1)
    near = ((sums - 1).abs() < 16 * torch.finfo(value.dtype).eps ** 0.75) | (sums == 0)
    return bool(near.all() & (value.detach() >= 0).all() & (sums != 0).any())


def of_fused(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Those of a call of `F.scaled_dot_product_attention`, from its arguments."""
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given: dict[str, Any] = dict(zip(names, args, strict=False)) | dict(kwargs)
    if given.get("enable_gqa"):
        repeats = given["query"].size(-3) // given["key"].size(-3)
        given["key"] = given["key"].repeat_interleave(repeats, -3)
    asked = ("query", "key", "attn_mask", "is_causal", "scale")
    return probabilities(**{name: given[name] for name in asked if name in given})


def of_multi_head(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor:
    """Those of a call of `F.multi_head_attention_forward`, from its arguments."""
    given = multi_head_arguments(args, kwargs)
    given |= {"training": False, "need_weights": True, "average_attn_weights": False}
    # Kept from the plan's mode below: this run is to have no noise.
    with torch._C.DisableTorchFunction():
        _, weights = MULTI_HEAD(**given)
    assert weights is not None
    return weights
