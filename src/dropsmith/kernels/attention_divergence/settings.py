"""The inputs of an attention call, the settings of the distance, and its sums, as values."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dropsmith.errors import KernelError, excerpt

Distance = Literal["squared", "symmetric_kl", "jensen_shannon"]


@dataclass(frozen=True, kw_only=True)
class AttentionSettings:
    """The distance between probabilities, and the size of a block.

    Args:
        distance: `squared`, the squared difference for each pair of a query and a key that is not
            masked; `symmetric_kl`, half of KL(p‖q) + KL(q‖p) for each query; or `jensen_shannon`,
            the Jensen-Shannon divergence for each query.
        elements: the number of a view's scores in a block.
    """

    distance: Distance = "squared"
    elements: int = 2**20

    def __post_init__(self) -> None:
        if self.distance not in ("squared", "symmetric_kl", "jensen_shannon"):
            raise KernelError(
                f"no distance is called {excerpt(self.distance)}\n"
                "  distances: squared, symmetric_kl, jensen_shannon"
            )
        if self.elements < 1:
            raise KernelError(f"elements must be 1 or more, got {self.elements}")


@dataclass(frozen=True)
class AttentionInputs:
    """The inputs from which `F.scaled_dot_product_attention` computes attention weights.

    Args:
        query: `[rows, heads, queries, units]`, after rotary embedding where there is one.
        key: `[rows, key heads, keys, units]`; the number of heads is a multiple of the number of
            key heads, as in grouped-query attention.
        mask: broadcasts to `[rows, heads, queries, keys]`; boolean with True for visible keys, or
            added to the scores with −inf, or the lowest number of its type, for masked keys.
        causal: whether query i sees keys 0 to i only.
        scale: the factor of the scores; 1 / √units where None.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None = None
    causal: bool = False
    scale: float | None = None

    def __post_init__(self) -> None:
        q, k = self.query.shape, self.key.shape
        if len(q) != 4 or len(k) != 4 or q[0] != k[0] or q[3] != k[3] or q[1] % k[1]:
            raise KernelError(
                f"queries {tuple(q)} and keys {tuple(k)} are not [rows, heads, time, units] "
                "of the same rows and units, with heads a multiple of key heads"
            )

    @property
    def factor(self) -> float:
        """The factor of the scores."""
        return 1 / math.sqrt(self.query.shape[-1]) if self.scale is None else self.scale

    @property
    def bias(self) -> Tensor | None:
        """The mask if it is added to the scores, else None."""
        return self.mask if self.mask is not None and self.mask.dtype != torch.bool else None

    def visible_pairs(self) -> Tensor | None:
        """True for keys that a query sees, broadcasting to all scores; None if it sees all."""
        visible = None if self.mask is None else open_places(self.mask)
        if self.causal:
            sizes = self.query.shape[2], self.key.shape[2]
            past = torch.ones(sizes, dtype=torch.bool, device=self.query.device).tril()
            visible = past if visible is None else visible & past
        return visible


def open_places(mask: Tensor) -> Tensor:
    """True for the visible keys of a mask of either kind.

    Some models write the lowest number of a type, or a number near it, in place of −inf.
    """
    return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


class AttentionSums(NamedTuple):
    """The sum and count over all heads and the queries that are counted.

    Args:
        sum: of the distances between the two views.
        item_count: the number of items: pairs that are visible in both views, or queries with a
            visible key in both.
    """

    sum: Tensor
    item_count: Tensor
