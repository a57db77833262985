"""Some rows of one view: its queries and keys, their scores block by block, its gradients."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_attention.settings import Looks, open_places


def wide_type(tensor: Tensor) -> torch.dtype:
    """The type to compute in: float32, or float64 where a tensor has it."""
    return torch.promote_types(tensor.dtype, torch.float32)


@dataclass(frozen=True)
class Grads:
    """Gradients of one view that are being added up; None where nobody wants one."""

    query: Tensor | None
    key: Tensor | None
    bias: Tensor | None

    @classmethod
    def of(cls, looks: Looks, wanted: Sequence[bool]) -> "Grads":
        """Zeros to begin with."""
        given = looks.query, looks.key, looks.bias
        return cls(
            *(
                torch.zeros_like(one, dtype=wide_type(one)) if want and one is not None else None
                for one, want in zip(given, wanted, strict=True)
            )
        )

    @property
    def tensors(self) -> tuple[Tensor | None, ...]:
        """In the order of the arguments."""
        return self.query, self.key, self.bias


@dataclass(frozen=True)
class Part:
    """Some rows of one view.

    Args:
        looks: the whole view.
        rows: which of its rows.
        query: of those rows, `[rows, heads, queries, units]`.
        key: likewise, `[rows, key heads, keys, units]`.
        key_grad: what their queries have given so far.
    """

    looks: Looks
    rows: Tensor
    query: Tensor
    key: Tensor
    key_grad: Tensor

    @classmethod
    def of(cls, looks: Looks, rows: Tensor) -> "Part":
        """The rows of these numbers."""
        whole = len(rows) == len(looks.query)
        query, key = (x if whole else x[rows] for x in (looks.query, looks.key))
        query, key = query.to(wide_type(query)), key.to(wide_type(key))
        return cls(looks, rows, query, key, torch.zeros_like(key))

    def scores(self, first: int, last: int, closed: Tensor | None, dead: Tensor | None) -> Tensor:
        """Of some queries, `[rows, heads, queries, keys]`; zeros for those that do not count."""
        scores = self._folded(self.query[:, :, first:last]) @ self.key.transpose(-2, -1)
        scores = scores.mul_(self.looks.factor)
        scores = scores.view(len(scores), -1, last - first, scores.shape[-1])
        if self.looks.bias is not None:
            scores += self._over(self.looks.bias, first, last)
        if closed is not None:
            scores.masked_fill_(closed, -torch.inf)
        return scores if dead is None else scores.masked_fill_(dead, 0)

    def closed(self, first: int, last: int) -> Tensor | None:
        """Where some queries may not look, broadcasting to their scores; None if nowhere."""
        mask = self.looks.mask
        shut = None if mask is None else ~open_places(self._over(mask, first, last))
        if self.looks.causal:
            at = torch.arange(first, last, device=self.rows.device)[:, None]
            later = torch.arange(self.key.shape[2], device=self.rows.device) > at
            shut = later[None, None] if shut is None else shut | later
        return shut

    def add(self, grads: Grads, slope: Tensor, first: int, last: int) -> None:
        """Pass a gradient by the scores of some queries on to what they were made of."""
        if grads.bias is not None:
            self._add_bias(grads.bias, slope, first, last)
        folded = self._folded(slope.mul_(self.looks.factor))
        if grads.query is not None:
            own = (folded @ self.key).view(len(slope), -1, last - first, self.key.shape[-1])
            grads.query[self.rows, :, first:last] = own
        if grads.key is not None:
            asked = self._folded(self.query[:, :, first:last])
            self.key_grad.add_(folded.transpose(-2, -1) @ asked)

    def store_key(self, grads: Grads) -> None:
        """After all queries."""
        if grads.key is not None:
            grads.key[self.rows] = self.key_grad

    def _folded(self, x: Tensor) -> Tensor:
        """`[rows, key heads, neighbours × queries, ...]`: a key's head serves several."""
        return x.reshape(len(x), self.key.shape[1], -1, x.shape[-1])

    def _over(self, mask: Tensor, first: int, last: int) -> Tensor:
        """The part of a mask that lies over some queries."""
        mask = mask[(None,) * (4 - mask.ndim)]
        mask = mask if len(mask) == 1 else mask[self.rows]
        return mask if mask.shape[2] == 1 else mask[:, :, first:last]

    def _add_bias(self, grad: Tensor, slope: Tensor, first: int, last: int) -> None:
        grad = grad[(None,) * (4 - grad.ndim)]
        queries = slice(None) if grad.shape[2] == 1 else slice(first, last)
        kept = len(slope) if len(grad) > 1 else 1
        sizes = (kept, grad.shape[1], 1 if grad.shape[2] == 1 else last - first, grad.shape[3])
        summed = slope.sum_to_size(sizes)
        if len(grad) == 1:
            grad[:, :, queries] += summed
        else:
            grad[self.rows, :, queries] += summed
