"""What attention calls look at, remembered while a model runs and made ready when it is used."""

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
    """An attention call, or what may prove to be one.

    Nothing is computed before it is asked for: what is computed while a checkpointed block runs
    would have to be computed again when the block is.
    """

    @property
    def attends(self) -> bool:
        """Whether it is attention."""
        return True

    @abstractmethod
    def value(self) -> attention_divergence.AttentionInputs | Tensor:
        """What the call looks at, or its probabilities where they are there or nothing else is."""


@final
class DropoutInput(AttentionRecord):
    """What a dropout call was given: probabilities of attention, or something else.

    Its values tell. They are looked at when the forward is over, for a compiler that traces the
    forward can follow no value.
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
    """What a call of fused attention looks at; its values are not held."""

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
    """What is to be remembered of a call; None where it can be no attention."""
    if call.kind != "attention":
        return record_of_dropout(call.input) if call.kind == "functional" else None
    if call.operation == "attention":
        return FusedAttention(_inputs(call))
    return AttentionCall(call, _casting(call.input.device.type))


def record_of_dropout(x: Any) -> DropoutInput | None:
    """What is about to be dropped, if it has the form of probabilities."""
    fits = isinstance(x, Tensor) and x.ndim >= 3 and x.is_floating_point()
    return DropoutInput(x) if fits else None


def sums_to_one(value: Tensor) -> bool:
    """Whether a tensor can be `[..., time, time]` probabilities: its rows sum to one, or zero."""
    if value.ndim < 3 or not value.is_floating_point():
        return False
    sums = value.detach().sum(-1)
    near = ((sums - 1).abs() < 16 * torch.finfo(value.dtype).eps ** 0.75) | (sums == 0)
    return bool(near.all() & (value.detach() >= 0).all() & (sums != 0).any())


def _inputs(call: NoisyCall) -> attention_divergence.AttentionInputs:
    """What a fused call looks at, rows and heads that torch broadcasts written out."""
    given = call.arguments
    query, key, mask = given["query"], given["key"], given["attn_mask"]
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
        query, key, mask, bool(given["is_causal"]), given["scale"]
    )


def _head_inputs(call: NoisyCall) -> attention_divergence.AttentionInputs:
    """Run it once more up to its fused call, for its projections, its masks and its extra keys."""
    inner: list[NoisyCall] = []

    def handle(fused: NoisyCall) -> Tensor:
        inner.append(fused)
        query, value = fused.input, fused.arguments["value"]
        return query.new_zeros(()).expand(*query.shape[:3], value.shape[-1])

    run_heads(call, handle, training=False, need_weights=False)
    return _inputs(inner[0])


def _casting(device: str) -> Callable[[], AbstractContextManager[Any]]:
    """The automatic casting that is on now, to be had again later."""
    if not torch.is_autocast_enabled(device):
        return nullcontext
    dtype = torch.get_autocast_dtype(device)
    return lambda: torch.autocast(device, dtype=dtype)
