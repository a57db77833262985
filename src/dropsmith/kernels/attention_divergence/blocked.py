"""The distance in blocks of rows and queries, with the gradients of each block.

The result is a scalar, so backward only multiplies the gradients that forward computed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dropsmith.errors import KernelError
from dropsmith.kernels.attention_divergence.closed_form import DISTANCES
from dropsmith.kernels.attention_divergence.parts import Grads, Part, wide_type
from dropsmith.kernels.attention_divergence.reference import from_logarithms
from dropsmith.kernels.attention_divergence.settings import (
    AttentionInputs,
    AttentionSettings,
    AttentionSums,
)
from dropsmith.kernels.double_backward import reference_gradients


def attention_divergence(
    first: AttentionInputs,
    second: AttentionInputs,
    query_mask: Tensor | None,
    settings: AttentionSettings,
) -> AttentionSums:
    """See `dropsmith.kernels.attention_divergence.attention_divergence`."""
    sums = _BlockedDivergence.apply(
        *(first.query, first.key, first.bias),
        *(second.query, second.key, second.bias),
        *(first, second, query_mask, settings),
    )
    return AttentionSums(*sums)  # pyright: ignore[reportGeneralTypeIssues]


@dataclass(frozen=True)
class _ViewPair:
    """Two views of one call."""

    views: tuple[AttentionInputs, AttentionInputs]
    query_mask: Tensor | None
    settings: AttentionSettings

    def run(self, needs: tuple[tuple[bool, ...], ...]) -> tuple[Tensor, Tensor, list[Grads]]:
        """Sum and count, and the gradients of the sum that are needed."""
        query = self.views[0].query
        total = query.new_zeros((), dtype=wide_type(query))
        count = query.new_zeros((), dtype=torch.long)
        grads = [Grads.of(view, want) for view, want in zip(self.views, needs, strict=True)]
        for rows in self._rows():
            parts = [Part.of(view, rows) for view in self.views]
            mask_of_rows = None if self.query_mask is None else self.query_mask[rows]
            for first, last in self._queries(len(rows)):
                block_sum, items = self._block(parts, grads, mask_of_rows, first, last)
                total += block_sum
                count += items
            for part, grad in zip(parts, grads, strict=True):
                part.store_key(grad)
        return total, count, grads

    def _block(
        self,
        parts: list[Part],
        grads: list[Grads],
        mask_of_rows: Tensor | None,
        first: int,
        last: int,
    ) -> tuple[Tensor, Tensor]:
        skipped_queries = None if mask_of_rows is None else ~mask_of_rows[:, None, first:last, None]
        closed_places = [part.closed_places(first, last) for part in parts]
        for mask in closed_places:
            if mask is not None:
                nowhere = mask.all(-1, keepdim=True)
                skipped_queries = nowhere if skipped_queries is None else skipped_queries | nowhere
        scores = [
            part.scores(first, last, mask, skipped_queries)
            for part, mask in zip(parts, closed_places, strict=True)
        ]
        sizes = scores[0].shape
        skipped_pairs = _union(closed_places[0], closed_places[1], skipped_queries)
        distance, *slopes = DISTANCES[self.settings.distance](scores[0], scores[1], skipped_pairs)
        for part, grad, slope in zip(parts, grads, slopes, strict=True):
            part.add(grad, slope, first, last)
        skipped_items = skipped_pairs if self.settings.distance == "squared" else skipped_queries
        items = sizes.numel() if self.settings.distance == "squared" else sizes[:3].numel()
        return distance, _remaining_items(skipped_items, items, parts[0].query)

    def _rows(self) -> Iterator[Tensor]:
        """The rows with a query that is counted, some at a time."""
        query, key = self.views[0].query, self.views[0].key
        rows = torch.arange(len(query), device=query.device)
        if self.query_mask is not None:
            rows = rows[self.query_mask.any(-1)]
        matrix = max(1, query.shape[1] * query.shape[2] * key.shape[2])
        yield from rows.split(max(1, self.settings.elements // matrix)) if len(rows) else ()

    def _queries(self, rows: int) -> Iterator[tuple[int, int]]:
        query, key = self.views[0].query, self.views[0].key
        line = max(1, rows * query.shape[1] * key.shape[2])
        size, times = max(1, self.settings.elements // line), query.shape[2]
        yield from ((start, min(start + size, times)) for start in range(0, times, size))


def _union(
    first: Tensor | None, second: Tensor | None, skipped_queries: Tensor | None
) -> Tensor | None:
    """The pairs that are not counted: masked in a view, or of a query that is not counted."""
    masks = [item for item in (first, second, skipped_queries) if item is not None]
    if not masks:
        return None
    result = masks[0]
    for item in masks[1:]:
        result = result | item
    return result


def _remaining_items(skipped_pairs: Tensor | None, items: int, query: Tensor) -> Tensor:
    """The number of items that are counted; an entry of a broadcast mask is several items."""
    if skipped_pairs is None:
        return torch.full((), items, dtype=torch.long, device=query.device)
    return items - skipped_pairs.sum() * (items // skipped_pairs.numel())


@dataclass(frozen=True)
class _Call:
    """A call without its queries and keys, with the version of its mask."""

    mask: Tensor | None
    version: int
    causal: bool
    scale: float | None

    @classmethod
    def of(cls, views: AttentionInputs) -> "_Call":
        version = 0 if views.mask is None else views.mask._version
        return cls(views.mask, version, views.causal, views.scale)

    def inputs_of_rows(
        self, query: Tensor, key: Tensor, bias: Tensor | None, rows: Tensor
    ) -> AttentionInputs:
        """The inputs of some rows of the call."""
        mask = self.mask if bias is None else bias
        if self.mask is not None and self.mask._version != self.version:
            raise KernelError(
                "an attention mask was changed in place between forward and a second derivative\n"
                "  write mask = mask + ... instead of mask += ..."
            )
        if mask is not None and mask.ndim == 4 and len(mask) > 1:
            mask = mask[rows]
        return AttentionInputs(query[rows], key[rows], mask, self.causal, self.scale)


def _with_graph(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    inputs, query_mask = ctx.saved_tensors[6:], ctx.query_mask
    rows = torch.arange(len(inputs[0]), device=grad.device)
    if query_mask is not None:
        rows = rows[query_mask.any(-1)]
        query_mask = query_mask[rows]

    def reference(*inputs: Any) -> tuple[Tensor]:
        calls = zip(ctx.calls, (inputs[:3], inputs[3:]), strict=True)
        first, second = (call.inputs_of_rows(*tensors, rows) for call, tensors in calls)
        return (from_logarithms(first, second, query_mask, ctx.settings),)

    return reference_gradients(reference, inputs, ctx.needs_input_grad[:6], (grad,))


class _BlockedDivergence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Any) -> tuple[Tensor, Tensor]:
        first, second, query_mask, settings = tensors[6:]
        needs = ctx.needs_input_grad
        with torch.autocast(tensors[0].device.type, enabled=False):
            total, count, grads = _ViewPair((first, second), query_mask, settings).run(
                (needs[:3], needs[3:6])
            )
        buffers = [tensor for grad in grads for tensor in grad.tensors]
        # For second derivatives; the attention call holds its queries and keys anyway.
        biases = [x if want else None for x, want in zip(tensors[2:6:3], needs[2:6:3], strict=True)]
        ctx.save_for_backward(*buffers, *tensors[:2], biases[0], *tensors[3:5], biases[1])
        ctx.calls = [_Call.of(views) for views in (first, second)]
        ctx.query_mask, ctx.settings = query_mask, settings
        ctx.types = [None if item is None else item.dtype for item in tensors[:6]]
        ctx.mark_non_differentiable(count)
        return total, count

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore
        if torch.is_grad_enabled():
            return (*_with_graph(ctx, upstream[0]), None, None, None, None)
        grads = [
            None if item is None else (item * upstream[0]).to(dtype)
            for item, dtype in zip(ctx.saved_tensors[:6], ctx.types, strict=True)
        ]
        return (*grads, None, None, None, None)
