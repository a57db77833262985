"""Queries and keys of attention calls, kept as they are seen and made ready when they are used."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import SiteError
from dropsmith.interception import (
    ATTENTION,
    MULTI_HEAD,
    CallMode,
    Torch,
    multi_head_arguments,
    probabilities,
    unguarded,
)
from dropsmith.kernels.attention_divergence import AttentionInputs

Seen = Callable[[], AttentionInputs | Tensor]
"""Gives what a call looks at, or its probabilities where the model has made them itself."""


class BeforeDropout:
    """What a dropout call was given: probabilities of attention, or something else.

    Its values tell. They are looked at when the forward is over, for a compiler that traces the
    forward can follow no value.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x

    def __call__(self) -> Tensor:
        return self.x

    @cached_property
    def attention(self) -> bool:
        """Whether it is probabilities."""
        return sums_to_one(self.x)


def seen_in(func: Torch, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Seen | None:
    """What a torch call looks at, if it is attention.

    Nothing is computed before it is asked for: what is computed while a checkpointed block runs
    would have to be computed again when the block is.
    """
    if func is ATTENTION:
        looks = _of_fused(args, kwargs)
        return lambda: looks
    if func is MULTI_HEAD:
        given = multi_head_arguments(args, kwargs)
        cast = _casting(given["query"].device.type)
        return lambda: _of_multi_head(given, cast)
    return None


def seen_before_dropout(x: Any) -> Seen | None:
    """What is about to be dropped, if it has the form of probabilities."""
    fits = isinstance(x, Tensor) and x.ndim >= 3 and x.is_floating_point()
    return BeforeDropout(x) if fits else None


def _of_fused(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> AttentionInputs:
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given: dict[str, Any] = dict(zip(names, args, strict=False)) | dict(kwargs)
    query, key, mask = given["query"], given["key"], given.get("attn_mask")
    if query.ndim not in (3, 4) or key.ndim != query.ndim:
        raise SiteError(
            f"fused attention of queries {tuple(query.shape)} cannot be compared\n"
            "  give it [rows, heads, time, units], or [rows × heads, time, units]"
        )
    if query.ndim == 3:
        # Heads are folded into the rows: one head each, and a mask that broadcasts likewise.
        query, key = query.unsqueeze(1), key.unsqueeze(1)
        mask = mask.unsqueeze(1) if mask is not None and mask.ndim == 3 else mask
    causal, scale = bool(given.get("is_causal", False)), given.get("scale")
    return AttentionInputs(query, key, mask, causal, scale)


def _of_multi_head(given: Mapping[str, Any], cast: Any) -> AttentionInputs:
    """Run it once more up to its fused call, for its projections, its masks and its extra keys."""
    found: list[AttentionInputs] = []

    def handle(func: Torch, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if func is not ATTENTION:
            return func(*args, **kwargs)
        found.append(_of_fused(args, kwargs))
        query, value = found[0].query, args[2] if len(args) > 2 else kwargs["value"]
        return query.new_zeros(()).expand(*query.shape[:3], value.shape[-1])

    with cast(), CallMode(_Handing(handle)):  # pyright: ignore[reportArgumentType]
        unguarded(**{**given, "training": False, "need_weights": False})
    return found[0]


class _Handing:
    """What a mode needs of an owner whose calls are all handed on."""

    away = 0

    def __init__(self, handle: Callable[..., Any]) -> None:
        self.handle = handle


def _casting(device: str) -> Callable[[], Any]:
    """The automatic casting that is on now, to be had again later."""
    if not torch.is_autocast_enabled(device):
        return nullcontext
    dtype = torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, dtype=dtype)


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
