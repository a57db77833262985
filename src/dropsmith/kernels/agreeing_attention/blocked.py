"""Some rows and queries at a time: gradients are made while their probabilities are there.

The result is a scalar, so its gradients only have to be multiplied when backward comes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import KernelError
from dropsmith.kernels.agreeing_attention.closed_form import DISTANCES
from dropsmith.kernels.agreeing_attention.parts import Grads, Part, wide_type
from dropsmith.kernels.agreeing_attention.reference import from_logarithms
from dropsmith.kernels.agreeing_attention.settings import AttentionSettings, AttentionSums, Looks
from dropsmith.kernels.double_backward import reference_gradients


def agreeing_attention(
    first: Looks, second: Looks, counted: Tensor | None, settings: AttentionSettings
) -> AttentionSums:
    """See `dropsmith.kernels.agreeing_attention.agreeing_attention`."""
    found = _Blocked.apply(
        *(first.query, first.key, first.bias),
        *(second.query, second.key, second.bias),
        *(first, second, counted, settings),
    )
    return AttentionSums(*found)  # pyright: ignore[reportGeneralTypeIssues]


@dataclass(frozen=True)
class _Work:
    """Two views of one call."""

    looks: tuple[Looks, Looks]
    counted: Tensor | None
    settings: AttentionSettings

    def run(self, wanted: tuple[tuple[bool, ...], ...]) -> tuple[Tensor, Tensor, list[Grads]]:
        """Sum and count, and the gradients of the sum that are wanted."""
        query = self.looks[0].query
        total = query.new_zeros((), dtype=wide_type(query))
        count = query.new_zeros((), dtype=torch.long)
        grads = [Grads.of(own, want) for own, want in zip(self.looks, wanted, strict=True)]
        for rows in self._rows():
            parts = [Part.of(own, rows) for own in self.looks]
            kept = None if self.counted is None else self.counted[rows]
            for first, last in self._queries(len(rows)):
                more, items = self._block(parts, grads, kept, first, last)
                total += more
                count += items
            for part, grad in zip(parts, grads, strict=True):
                part.store_key(grad)
        return total, count, grads

    def _block(
        self, parts: list[Part], grads: list[Grads], kept: Tensor | None, first: int, last: int
    ) -> tuple[Tensor, Tensor]:
        dead = None if kept is None else ~kept[:, None, first:last, None]
        closed = [part.closed(first, last) for part in parts]
        for shut in closed:
            if shut is not None:
                nowhere = shut.all(-1, keepdim=True)
                dead = nowhere if dead is None else dead | nowhere
        scores = [
            part.scores(first, last, shut, dead) for part, shut in zip(parts, closed, strict=True)
        ]
        sizes = scores[0].shape
        gone = _either(closed[0], closed[1], dead)
        apart, *slopes = DISTANCES[self.settings.distance](scores[0], scores[1], gone)
        for part, grad, slope in zip(parts, grads, slopes, strict=True):
            part.add(grad, slope, first, last)
        left_out = gone if self.settings.distance == "squared" else dead
        items = sizes.numel() if self.settings.distance == "squared" else sizes[:3].numel()
        return apart, _left(left_out, items, parts[0].query)

    def _rows(self) -> Iterator[Tensor]:
        """The rows that have something that counts, some at a time."""
        query, key = self.looks[0].query, self.looks[0].key
        rows = torch.arange(len(query), device=query.device)
        if self.counted is not None:
            rows = rows[self.counted.any(-1)]
        matrix = max(1, query.shape[1] * query.shape[2] * key.shape[2])
        yield from rows.split(max(1, self.settings.elements // matrix)) if len(rows) else ()

    def _queries(self, rows: int) -> Iterator[tuple[int, int]]:
        query, key = self.looks[0].query, self.looks[0].key
        line = max(1, rows * query.shape[1] * key.shape[2])
        size, times = max(1, self.settings.elements // line), query.shape[2]
        yield from ((at, min(at + size, times)) for at in range(0, times, size))


def _either(first: Tensor | None, second: Tensor | None, dead: Tensor | None) -> Tensor | None:
    """What counts in neither view: closed in one of them, or of a query that does not count."""
    found = [one for one in (first, second, dead) if one is not None]
    if not found:
        return None
    result = found[0]
    for one in found[1:]:
        result = result | one
    return result


def _left(gone: Tensor | None, items: int, like: Tensor) -> Tensor:
    """How many of some items are left, where those that are gone were not repeated for each."""
    if gone is None:
        return torch.full((), items, dtype=torch.long, device=like.device)
    return items - gone.sum() * (items // gone.numel())


@dataclass(frozen=True)
class _Call:
    """A call without its queries and keys, and how often its mask had been changed in place."""

    mask: Tensor | None
    version: int
    causal: bool
    scale: float | None

    @classmethod
    def of(cls, looks: Looks) -> "_Call":
        version = 0 if looks.mask is None else looks.mask._version
        return cls(looks.mask, version, looks.causal, looks.scale)

    def on(self, query: Tensor, key: Tensor, bias: Tensor | None, rows: Tensor) -> Looks:
        """What some of its rows look at."""
        mask = self.mask if bias is None else bias
        if self.mask is not None and self.mask._version != self.version:
            raise KernelError(
                "an attention mask was changed in place between forward and a second derivative\n"
                "  write mask = mask + ... instead of mask += ..."
            )
        if mask is not None and mask.ndim == 4 and len(mask) > 1:
            mask = mask[rows]
        return Looks(query[rows], key[rows], mask, self.causal, self.scale)


def _with_graph(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    inputs, counted = ctx.saved_tensors[6:], ctx.counted
    rows = torch.arange(len(inputs[0]), device=grad.device)
    if counted is not None:
        rows = rows[counted.any(-1)]
        counted = counted[rows]

    def reference(*inputs: Any) -> tuple[Tensor]:
        calls = zip(ctx.calls, (inputs[:3], inputs[3:]), strict=True)
        first, second = (call.on(*given, rows) for call, given in calls)
        return (from_logarithms(first, second, counted, ctx.settings),)

    return reference_gradients(reference, inputs, ctx.needs_input_grad[:6], (grad,))


class _Blocked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        first, second, counted, settings = given[6:]
        wanted = ctx.needs_input_grad
        with torch.autocast(given[0].device.type, enabled=False):
            total, count, grads = _Work((first, second), counted, settings).run(
                (wanted[:3], wanted[3:6])
            )
        held = [tensor for grad in grads for tensor in grad.tensors]
        # For second derivatives; the attention call itself holds its queries and keys, too.
        biases = [x if want else None for x, want in zip(given[2:6:3], wanted[2:6:3], strict=True)]
        ctx.save_for_backward(*held, *given[:2], biases[0], *given[3:5], biases[1])
        ctx.calls = [_Call.of(looks) for looks in (first, second)]
        ctx.counted, ctx.settings = counted, settings
        ctx.types = [None if one is None else one.dtype for one in given[:6]]
        ctx.mark_non_differentiable(count)
        return total, count

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> Any:  # pyright: ignore
        if torch.is_grad_enabled():
            return (*_with_graph(ctx, given[0]), None, None, None, None)
        grads = [
            None if one is None else (one * given[0]).to(dtype)
            for one, dtype in zip(ctx.saved_tensors[:6], ctx.types, strict=True)
        ]
        return (*grads, None, None, None, None)
