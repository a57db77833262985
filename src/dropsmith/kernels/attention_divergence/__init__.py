"""The distance between two views' attention probabilities, without whole matrices of them."""

from torch import Tensor

from dropsmith.kernels.attention_divergence.blocked import attention_divergence as _blocked
from dropsmith.kernels.attention_divergence.reference import matrix_divergence
from dropsmith.kernels.attention_divergence.sampled import (
    sampled_divergence,
    sampled_matrix_divergence,
)
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
    "sampled_divergence",
    "sampled_matrix_divergence",
]


def attention_divergence(
    first: AttentionInputs,
    second: AttentionInputs,
    query_mask: Tensor | None,
    settings: AttentionSettings,
) -> AttentionSums:
    """Sum and count of the distances between two views' attention probabilities, before dropout.

    No buffer of `[rows, heads, queries, keys]` is allocated: probabilities are computed for some
    queries at a time, and with them the gradients of queries, keys and an added mask in closed
    form. The memory kept for backward is as large as the queries and keys, and as an added mask
    that has a gradient.

    >>> import torch
    >>> query, key = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 5, 8)
    >>> view = AttentionInputs(query, key, causal=True)
    >>> attention_divergence(view, view, None, AttentionSettings())
    AttentionSums(sum=tensor(0.), item_count=tensor(120))

    Args:
        first: the inputs of the call in view 0.
        second: those in view 1, with the same sizes and the same masked keys.
        query_mask: True for the queries that are counted, `[rows, queries]`; None for all. Queries
            whose keys are all masked are never counted.
        settings: the distance, and the size of a block.
    """
    return _blocked(first, second, query_mask, settings)
