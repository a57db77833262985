"""The distance estimated from some of the queries, without bias."""

from dataclasses import replace

import torch
from torch import Tensor

from dropsmith.kernels.attention_divergence.blocked import attention_divergence
from dropsmith.kernels.attention_divergence.reference import matrix_divergence, matrix_item_count
from dropsmith.kernels.attention_divergence.settings import (
    AttentionInputs,
    AttentionSettings,
    AttentionSums,
)


def sampled_divergence(
    first: AttentionInputs,
    second: AttentionInputs,
    query_mask: Tensor | None,
    settings: AttentionSettings,
    queries: Tensor,
) -> AttentionSums:
    """The sum over all queries, estimated from some, and the count over all.

    The sum over k of T queries, times T / k, has the sum over all as its mean where every query is
    as likely to be among the k (Horvitz & Thompson, 1952). The count is exact, so the mean distance
    is estimated without bias, whatever the masks.

    Args:
        first, second, query_mask, settings: as in `attention_divergence`.
        queries: the numbers of the queries, `[some]`, each once.
    """
    mask = None if query_mask is None else query_mask.index_select(1, queries)
    some, others = (_at_queries(view, queries) for view in (first, second))
    sums = attention_divergence(some, others, mask, settings)
    scale = first.query.shape[2] / len(queries)
    return AttentionSums(sums.sum * scale, _count(first, second, query_mask, settings))


def sampled_matrix_divergence(
    p: Tensor,
    q: Tensor,
    query_mask: Tensor | None,
    settings: AttentionSettings,
    queries: Tensor,
) -> AttentionSums:
    """The same for matrices of probabilities, `[rows, heads, queries, keys]`."""
    mask = None if query_mask is None else query_mask.index_select(1, queries)
    some, others = (matrix.index_select(2, queries) for matrix in (p, q))
    sums = matrix_divergence(some, others, mask, settings)
    count = matrix_item_count(p, q, query_mask, settings)
    return AttentionSums(sums.sum * (p.shape[2] / len(queries)), count)


def _at_queries(inputs: AttentionInputs, queries: Tensor) -> AttentionInputs:
    """The call for some of its queries, whose past is then in a mask."""
    mask = inputs.mask
    if mask is not None and mask.ndim > 1 and mask.shape[-2] > 1:
        mask = mask.index_select(-2, queries)
    if inputs.causal:
        keys = torch.arange(inputs.key.shape[2], device=queries.device)
        past = keys <= queries[:, None]
        if mask is None:
            mask = past
        elif mask.dtype == torch.bool:
            mask = mask & past
        else:
            mask = mask.masked_fill(~past, -torch.inf)
    query = inputs.query.index_select(2, queries)
    return replace(inputs, query=query, mask=mask, causal=False)


def _count(
    first: AttentionInputs,
    second: AttentionInputs,
    query_mask: Tensor | None,
    settings: AttentionSettings,
) -> Tensor:
    """The number of items of all queries, from the masks alone, some rows at a time."""
    rows, heads, times = first.query.shape[:3]
    keys = first.key.shape[2]
    visible = [v for view in (first, second) if (v := view.visible_pairs()) is not None]
    masks = [v[(None,) * (4 - v.ndim)] for v in visible]
    if query_mask is not None:
        masks.append(query_mask[:, None, :, None])
    by_pair = settings.distance == "squared"
    count = torch.zeros((), dtype=torch.long, device=first.query.device)
    for some in torch.arange(rows, device=count.device).split(_rows_at_once(times, keys, settings)):
        of_rows = [mask if len(mask) == 1 else mask[some] for mask in masks]
        if not by_pair:
            of_rows = [mask.any(-1, keepdim=True) for mask in of_rows]
        sizes = (len(some), heads, times, keys if by_pair else 1)
        counted = count.new_ones((1, 1, 1, 1), dtype=torch.bool)
        for mask in of_rows:
            counted = counted & mask
        repeats = torch.Size(sizes).numel() // counted.numel()
        count = count + counted.sum() * repeats
    return count


def _rows_at_once(times: int, keys: int, settings: AttentionSettings) -> int:
    return max(1, settings.elements // max(1, times * keys))
