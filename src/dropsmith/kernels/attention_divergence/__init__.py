"""The divergence of two views' attention probabilities, without the matrices of either."""

from torch import Tensor

from dropsmith.kernels.attention_divergence.blocked import attention_divergence as _blocked
from dropsmith.kernels.attention_divergence.reference import matrix_divergence
from dropsmith.kernels.attention_divergence.settings import (
    AttentionInputs,
    AttentionSettings,
    AttentionSums,
    open_places,
)

__all__ = [
    "AttentionInputs",
    "AttentionSettings",
    "AttentionSums",
    "attention_divergence",
    "matrix_divergence",
    "open_places",
]


def attention_divergence(
    first: AttentionInputs,
    second: AttentionInputs,
    query_mask: Tensor | None,
    settings: AttentionSettings,
) -> AttentionSums:
    """Sum and count of the distances between two views' attention probabilities, before dropout.

    No `[rows, heads, queries, keys]` buffer is ever held: probabilities are made for some queries
    at a time, and the gradients by queries, keys and an added mask in closed form while they are
    there. What is kept for backward is as large as the queries and keys, and, where an added mask
    has a gradient, as that mask.

    >>> import torch
    >>> query, key = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 5, 8)
    >>> view = AttentionInputs(query, key, causal=True)
    >>> attention_divergence(view, view, None, AttentionSettings())
    AttentionSums(sum=tensor(0.), item_count=tensor(120))

    Args:
        first: what the call looks at in view 0.
        second: in view 1: of the same sizes, and with the same places closed.
        query_mask: which queries count, `[rows, queries]`; all where None. Queries that may look
            nowhere never do.
        settings: the distance, and how much is held at a time.
    """
    return _blocked(first, second, query_mask, settings)
