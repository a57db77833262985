"""The definition: the log-probability of every word."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def adaptive_log_softmax(
    states: Sequence[Tensor], tables: Sequence[Tensor], clusters: Tensor
) -> Tensor:
    """The log-probability of every word, `[..., words]`.

    One softmax is over the words of the first band and the other bands as wholes; each other band
    has a softmax over its words. The probability of a rare word is that of its band times that of
    the word in the band. All words together have a distribution, so a further softmax changes
    nothing. Half precision is widened to float32.

    >>> states, tables = [torch.ones(4), torch.ones(2)], [torch.zeros(3, 4), torch.zeros(5, 2)]
    >>> adaptive_log_softmax(states, tables, torch.zeros(1, 4)).exp()
    tensor([0.2500, 0.2500, 0.2500, 0.0500, 0.0500, 0.0500, 0.0500, 0.0500])

    Args:
        states: the inputs of each band's scores, `[..., width of the band]`.
        tables: the vectors of each band's words, `[words of the band, width of the band]`.
        clusters: the vector of each band after the first, `[bands - 1, width of the first]`.
    """
    common = common_log_softmax(states[0], tables[0], clusters)
    words, bands = common.split([len(tables[0]), len(clusters)], dim=-1)
    rare = [
        F.linear(state, table).log_softmax(-1, dtype=common.dtype) + band
        for state, table, band in zip(states[1:], tables[1:], bands.split(1, dim=-1), strict=True)
    ]
    return torch.cat([words, *rare], dim=-1)


def common_log_softmax(state: Tensor, table: Tensor, clusters: Tensor) -> Tensor:
    """The log-probability of each word of the first band, then of each later band as a whole."""
    scores = torch.cat([F.linear(state, table), F.linear(state, clusters)], dim=-1)
    return scores.log_softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))
