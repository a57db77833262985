"""The inputs of an attention call, the settings of a comparison, and its sums, as values."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dropsmith.errors import KernelError, excerpt

Distance = Literal["squared", "symmetric_kl", "jensen_shannon"]


@dataclass(frozen=True, kw_only=True)
class AttentionSettings:
    """The distance of probabilities, and how many are held at a time.

    Args:
        distance: the squared difference of each pair of a query and a key it may look at; or, of
            each query, half of KL(p‖q) + KL(q‖p), or the Jensen-Shannon divergence.
        elements: how many scores of a view are held at a time.
    """

    distance: Distance = "squared"
    elements: int = 2**20

    def __post_init__(self) -> None:
        if self.distance not in ("squared", "symmetric_kl", "jensen_shannon"):
            raise KernelError(
                f"no distance is called {excerpt(self.distance)}\n"
                "  there are: squared, symmetric_kl, jensen_shannon"
            )
        if self.elements < 1:
            raise KernelError(f"elements must be 1 or more, got {self.elements}")


@dataclass(frozen=True)
class AttentionInputs:
    """The inputs of an attention call, from which `F.scaled_dot_product_attention` makes weights.

    Args:
        query: `[rows, heads, queries, units]`, after any rotation.
        key: `[rows, key heads, keys, units]`; heads are a multiple of key heads, each of which
            serves as many neighbours.
        mask: broadcasts to `[rows, heads, queries, keys]`; boolean, True where a query may look,
            or added to the scores: −inf, or the lowest number of its type, where it may not.
        causal: whether query i may look at keys 0 to i only.
        scale: what scores are multiplied with; 1 / √units where None.
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
        """The mask where it is added to the scores."""
        return self.mask if self.mask is not None and self.mask.dtype != torch.bool else None

    def visible_pairs(self) -> Tensor | None:
        """True where a query may look, broadcasting to all scores; None where everywhere."""
        visible = None if self.mask is None else open_places(self.mask)
        if self.causal:
            sizes = self.query.shape[2], self.key.shape[2]
            past = torch.ones(sizes, dtype=torch.bool, device=self.query.device).tril()
            visible = past if visible is None else visible & past
        return visible


def open_places(mask: Tensor) -> Tensor:
    """True where a mask of either kind lets a query look.

    Models write the lowest number of a type, or something added to it, where others write −inf.
    """
    return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


class AttentionSums(NamedTuple):
    """Over all heads and the queries that count.

    Args:
        sum: of the distances between the two views.
        item_count: how many there were: pairs that both views may look at, or queries that may look
            somewhere in both.
    """

    sum: Tensor
    item_count: Tensor
