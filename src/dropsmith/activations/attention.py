"""Records of attention calls: made while a model runs, evaluated when they are used."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from dropsmith.errors import SiteError
from dropsmith.interception import NoisyCall, probabilities, run_heads
from dropsmith.kernels import attention_divergence


class AttentionRecord(ABC):
    """An attention call, or a call that may prove to be one.

    Nothing is computed before it is asked for: a computation inside a checkpointed block would be
    made again whenever the block is run again.
    """

    @property
    def attends(self) -> bool:
        """Say whether the call is attention."""
        return True

    @abstractmethod
    def value(self) -> attention_divergence.AttentionInputs | Tensor:
        """The inputs of the call, or its probabilities where the model writes them out."""


@final
class DropoutInput(AttentionRecord):
    """The input of a dropout call: probabilities of attention, or something else.

    Its values tell which. They are looked at when the forward is over, for a compiler that traces
    the forward cannot branch on a value.
    """

    def __init__(self, x: Tensor) -> None:
        self.x = x

    @cached_property
    def attends(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
        return sums_to_one(self.x)

    def value(self) -> Tensor:
        return self.x


@final
@dataclass(frozen=True)
class FusedAttention(AttentionRecord):
    """The queries, keys and mask of a call of fused attention, without its values."""

    inputs: attention_divergence.AttentionInputs

    def value(self) -> attention_divergence.AttentionInputs:
        return self.inputs


@final
@dataclass(frozen=True)
class AttentionCall(AttentionRecord):
    """A call of multi-head or flex attention, and the automatic casting that was on."""

    call: NoisyCall
    casting: Callable[[], AbstractContextManager[Any]]

    def value(self) -> attention_divergence.AttentionInputs | Tensor:
        with self.casting():
            if self.call.operation == "multi-head attention":
                return _head_inputs(self.call)
            return probabilities(self.call)


def record_of(call: NoisyCall) -> AttentionRecord | None:
    """Return the record of a call; None where it can be no attention."""
    if call.kind != "attention":
        return record_of_dropout(call.input) if call.kind == "functional" else None
    if call.operation == "attention":
        return FusedAttention(_inputs(call))
    return AttentionCall(call, _casting(call.input.device.type))


def record_of_dropout(x: Any) -> DropoutInput | None:
    """Return the record of the input of dropout, if it has the form of probabilities."""
    fits = isinstance(x, Tensor) and x.ndim >= 3 and x.is_floating_point()
    return DropoutInput(x) if fits else None


def sums_to_one(value: Tensor) -> bool:
    """Say whether a tensor may be `[..., time, time]` probabilities: rows sum to one, or zero."""
    if value.ndim < 3 or not value.is_floating_point():
        return False
    sums = value.detach().sum(-1)
    near = ((sums - 1).abs() < 16 * torch.finfo(value.dtype).eps ** 0.75) | (sums == 0)
    return bool(near.all() & (value.detach() >= 0).all() & (sums != 0).any())


def _inputs(call: NoisyCall) -> attention_divergence.AttentionInputs:
    """The inputs of a fused call, expanded over the rows and heads that torch broadcasts."""
    arguments = call.arguments
    query, key, mask = arguments["query"], arguments["key"], arguments["attn_mask"]
    if query.ndim not in (3, 4) or key.ndim != query.ndim:
        raise SiteError(
            f"fused attention of queries {tuple(query.shape)} cannot be compared\n"
            "  give it [rows, heads, time, units], or [rows × heads, time, units]"
        )
    if query.ndim == 3:
        # Heads are folded into the rows: one head each, and a mask that broadcasts likewise.
        query, key = query.unsqueeze(1), key.unsqueeze(1)
        mask = mask.unsqueeze(1) if mask is not None and mask.ndim == 3 else mask
    rows, heads = max(len(query), len(key)), max(query.size(1), key.size(1))
    query, key = query.expand(rows, heads, -1, -1), key.expand(rows, -1, -1, -1)
    return attention_divergence.AttentionInputs(
        query, key, mask, bool(arguments["is_causal"]), arguments["scale"]
    )


def _head_inputs(call: NoisyCall) -> attention_divergence.AttentionInputs:
    """Run multi-head attention again up to its fused call, for its projections, masks and keys."""
    inner: list[NoisyCall] = []

    def handle(fused: NoisyCall) -> Tensor:
        inner.append(fused)
        query, value = fused.input, fused.arguments["value"]
        return query.new_zeros(()).expand(*query.shape[:3], value.shape[-1])

    run_heads(call, handle, training=False, need_weights=False)
    return _inputs(inner[0])


def _casting(device: str) -> Callable[[], AbstractContextManager[Any]]:
    """Return a function that switches the automatic casting of now on again."""
    if not torch.is_autocast_enabled(device):
        return nullcontext
    dtype = torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, dtype=dtype)
