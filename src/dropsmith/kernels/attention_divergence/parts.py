"""Some rows of one view: queries and keys, scores of a block, and gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.kernels.attention_divergence.settings import AttentionInputs, open_places


def wide_type(tensor: Tensor) -> torch.dtype:
    """The type to compute in: float32, or float64 where a tensor has it."""
    return torch.promote_types(tensor.dtype, torch.float32)


@dataclass(frozen=True)
class Grads:
    """The gradients of one view, which blocks add to; None where no gradient is needed."""

    query: Tensor | None
    key: Tensor | None
    bias: Tensor | None

    @classmethod
    def of(cls, inputs: AttentionInputs, needs: Sequence[bool]) -> "Grads":
        """Gradients of zeros."""
        tensors_of_view = inputs.query, inputs.key, inputs.bias
        return cls(
            *(
                torch.zeros_like(x, dtype=wide_type(x)) if want and x is not None else None
                for x, want in zip(tensors_of_view, needs, strict=True)
            )
        )

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """The gradients in the order of the arguments."""
        return self.query, self.key, self.bias


@dataclass(frozen=True)
class Part:
    """Some rows of one view.

    Args:
        inputs: the whole view.
        rows: which of its rows.
        query: of those rows, `[rows, heads, queries, units]`.
        key: likewise, `[rows, key heads, keys, units]`.
        key_grad: the gradient of the keys from the queries so far.
    """

    inputs: AttentionInputs
    rows: Tensor
    query: Tensor
    key: Tensor
    key_grad: Tensor

    @classmethod
    def of(cls, inputs: AttentionInputs, rows: Tensor) -> "Part":
        """The part with the rows of these indices."""
        all_rows = len(rows) == len(inputs.query)
        query, key = (x if all_rows else x[rows] for x in (inputs.query, inputs.key))
        query, key = query.to(wide_type(query)), key.to(wide_type(key))
        return cls(inputs, rows, query, key, torch.zeros_like(key))

    def scores(
        self, first: int, last: int, closed_places: Tensor | None, skipped_queries: Tensor | None
    ) -> Tensor:
        """The scores of some queries, `[rows, heads, queries, keys]`; zeros where not counted."""
        scores = self._fold(self.query[:, :, first:last]) @ self.key.transpose(-2, -1)
        scores = scores.mul_(self.inputs.factor)
        scores = scores.view(len(scores), -1, last - first, scores.shape[-1])
        if self.inputs.bias is not None:
            scores += self._over(self.inputs.bias, first, last)
        if closed_places is not None:
            scores.masked_fill_(closed_places, -torch.inf)
        return scores if skipped_queries is None else scores.masked_fill_(skipped_queries, 0)

    def closed_places(self, first: int, last: int) -> Tensor | None:
        """The mask of some queries, True for masked keys, broadcasting to the scores; or None."""
        mask = self.inputs.mask
        mask_out = None if mask is None else ~open_places(self._over(mask, first, last))
        if self.inputs.causal:
            positions = torch.arange(first, last, device=self.rows.device)[:, None]
            future = torch.arange(self.key.shape[2], device=self.rows.device) > positions
            mask_out = future[None, None] if mask_out is None else mask_out | future
        return mask_out

    def add(self, grads: Grads, slope: Tensor, first: int, last: int) -> None:
        """Add the gradient of some queries' scores to those of queries, keys and mask."""
        if grads.bias is not None:
            self._add_bias(grads.bias, slope, first, last)
        group_slopes = self._fold(slope.mul_(self.inputs.factor))
        if grads.query is not None:
            d_query = (group_slopes @ self.key).view(
                len(slope), -1, last - first, self.key.shape[-1]
            )
            grads.query[self.rows, :, first:last] = d_query
        if grads.key is not None:
            queries_of_group = self._fold(self.query[:, :, first:last])
            self.key_grad.add_(group_slopes.transpose(-2, -1) @ queries_of_group)

    def store_key(self, grads: Grads) -> None:
        """Store the gradient of the keys once all queries have been added."""
        if grads.key is not None:
            grads.key[self.rows] = self.key_grad

    def _fold(self, x: Tensor) -> Tensor:
        """`[rows, key heads, heads per key head × queries, ...]`."""
        return x.reshape(len(x), self.key.shape[1], -1, x.shape[-1])

    def _over(self, mask: Tensor, first: int, last: int) -> Tensor:
        """The part of a mask for some queries."""
        mask = mask[(None,) * (4 - mask.ndim)]
        mask = mask if len(mask) == 1 else mask[self.rows]
        return mask if mask.shape[2] == 1 else mask[:, :, first:last]

    def _add_bias(self, grad: Tensor, slope: Tensor, first: int, last: int) -> None:
        grad = grad[(None,) * (4 - grad.ndim)]
        queries = slice(None) if grad.shape[2] == 1 else slice(first, last)
        rows = len(slope) if len(grad) > 1 else 1
        sizes = (rows, grad.shape[1], 1 if grad.shape[2] == 1 else last - first, grad.shape[3])
        total = slope.sum_to_size(sizes)
        if len(grad) == 1:
            grad[:, :, queries] += total
        else:
            grad[self.rows, :, queries] += total
