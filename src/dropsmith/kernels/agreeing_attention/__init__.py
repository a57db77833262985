"""How far two views' attention probabilities are apart, without the matrices of either."""

from torch import Tensor

from dropsmith.kernels.agreeing_attention.blocked import agreeing_attention as _blocked
from dropsmith.kernels.agreeing_attention.reference import agreeing_matrices
from dropsmith.kernels.agreeing_attention.settings import (
    AttentionSettings,
    AttentionSums,
    Looks,
    open_places,
)

__all__ = [
    "AttentionSettings",
    "AttentionSums",
    "Looks",
    "agreeing_attention",
    "agreeing_matrices",
    "open_places",
]


def agreeing_attention(
    first: Looks, second: Looks, counted: Tensor | None, settings: AttentionSettings
) -> AttentionSums:
    """Sum and count of the distances between two views' attention probabilities, before dropout.

    No `[rows, heads, queries, keys]` buffer is ever held: probabilities are made for some queries
    at a time, and the gradients by queries, keys and an added mask in closed form while they are
    there. What is kept for backward is as large as the queries and keys, and, where an added mask
    has a gradient, as that mask.

    >>> import torch
    >>> query, key = torch.randn(2, 4, 5, 8), torch.randn(2, 4, 5, 8)
    >>> one, other = Looks(query, key, causal=True), Looks(query, key, causal=True)
    >>> agreeing_attention(one, other, None, AttentionSettings())
    AttentionSums(sum=tensor(0.), counted=tensor(120))

    Args:
        first: what the call looks at in view 0.
        second: in view 1: of the same sizes, and with the same places closed.
        counted: which queries count, `[rows, queries]`; all where None. Queries that may look
            nowhere never do.
        settings: the distance, and how much is held at a time.
    """
    return _blocked(first, second, counted, settings)
