"""Attention in plain operations, so that its probabilities can be dropped and read."""

import math
import types as python_types
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.errors import SiteError
from dropsmith.interception.flex_attention import attend_flex, flex_probabilities
from dropsmith.interception.own_calls import CallMode, Handle
from dropsmith.interception.torch_ops import NoisyCall


def attend(call: NoisyCall, drop: Callable[[Tensor], Tensor]) -> Any:
    """Run fused or flex attention with `drop` applied to its probabilities.

    >>> from dropsmith.interception import decode
    >>> q = torch.ones(1, 1, 2, 4)
    >>> call = decode(F.scaled_dot_product_attention, (q, q, q))
    >>> attend(call, lambda weights: weights).shape
    torch.Size([1, 1, 2, 4])

    Args:
        call: a call with query, key and value `[..., head, time, unit]`.
        drop: maps probabilities `[..., head, time, time]` to a tensor of the same shape.
    """
    if call.operation == "flex attention":
        return attend_flex(call.arguments, drop)
    value = _for_query_heads(call, "value")
    return drop(_fused(call).to(value.dtype)) @ value


def probabilities(call: NoisyCall) -> Tensor:
    """Attention probabilities `[..., head, time, time]` of a call, before any dropout.

    A query whose keys are all masked gets zeros, as in torch's fused kernels.
    """
    if call.operation == "flex attention":
        return flex_probabilities(call.arguments)
    if call.operation == "multi-head attention":
        return _of_heads(call)
    return _fused(call)


def run_heads(call: NoisyCall, handle: Handle, **changes: Any) -> Any:
    """Run multi-head attention, and pass each noisy call inside it to `handle`.

    The noise is in functional dropout or fused attention inside the function. A mode sees these
    only if the function skips its own check for modes, which would pass on the whole function.
    """
    with CallMode(handle):
        return _MULTI_HEAD_FORWARD(**(call.arguments | changes))


def attention_sizes(call: NoisyCall) -> tuple[int, ...]:
    """The sizes of a call's probabilities: `[row, head, time, time]`, or fewer axes."""
    arguments = call.arguments
    query, key = arguments["query"], arguments["key"]
    if call.operation != "multi-head attention":
        return (*query.shape[:-1], key.shape[-2])
    rows = query.shape[1] if query.ndim == 3 else 1
    if arguments["static_k"] is not None:
        keys = arguments["static_k"].shape[1]
    else:
        keys = key.shape[0] + (arguments["bias_k"] is not None)
    return rows, arguments["num_heads"], query.shape[0], keys + bool(arguments["add_zero_attn"])


def _fused(call: NoisyCall) -> Tensor:
    arguments = call.arguments
    query, key, mask = arguments["query"], _for_query_heads(call, "key"), arguments["attn_mask"]
    if query.is_nested or key.is_nested:
        raise SiteError(
            "attention over nested tensors has no probabilities in a tensor, so no rule can drop "
            "them and no tap can read them\n  give it padded tensors and a mask"
        )
    scale = arguments["scale"]
    factor = 1 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = (query @ key.transpose(-2, -1)) * factor
    if arguments["is_causal"]:
        causal = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        scores = scores.masked_fill(~causal, -math.inf)
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -math.inf)
    elif mask is not None:
        scores = scores + mask
    nowhere = (scores == -math.inf).all(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(nowhere, 0.0), dim=-1)
    return weights.masked_fill(nowhere, 0.0)


def _for_query_heads(call: NoisyCall, name: str) -> Tensor:
    """The key or the value, with heads repeated for grouped-query attention."""
    x, query = call.arguments[name], call.arguments["query"]
    if not call.arguments["enable_gqa"] or x.size(-3) == query.size(-3):
        return x
    return x.repeat_interleave(query.size(-3) // x.size(-3), -3)


def _of_heads(call: NoisyCall) -> Tensor:
    overrides = {"training": False, "need_weights": True, "average_attn_weights": False}
    # Other modes must not see this run, which has no noise.
    with torch._C.DisableTorchFunction():
        _, weights = call.function(**(call.arguments | overrides))
    assert weights is not None
    return weights


def _without_override_check(function: Any) -> Any:
    """A copy of a Python function of torch without its check for modes."""
    namespace = {**function.__globals__, "has_torch_function": lambda tensors: False}
    copy = python_types.FunctionType(
        function.__code__, namespace, function.__name__, function.__defaults__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


_MULTI_HEAD_FORWARD = _without_override_check(F.multi_head_attention_forward)
