"""The definition: both views' probabilities as whole matrices, differentiated by autograd."""

import math

import torch
from torch import Tensor

from dropsmith.kernels.attention_divergence.settings import (
    AttentionInputs,
    AttentionSettings,
    AttentionSums,
)


def attention_divergence(
    first: AttentionInputs,
    second: AttentionInputs,
    query_mask: Tensor | None,
    settings: AttentionSettings,
) -> AttentionSums:
    """See `dropsmith.kernels.attention_divergence.attention_divergence`."""
    return matrix_divergence(matrix(first), matrix(second), query_mask, settings)


def matrix(inputs: AttentionInputs) -> Tensor:
    """The probabilities `[rows, heads, queries, keys]`; zeros for queries with all keys masked."""
    scores, visible = _scores(inputs), inputs.visible_pairs()
    if visible is None:
        return scores.softmax(-1)
    visible = visible.expand_as(scores)
    nowhere = ~visible.any(-1, keepdim=True)
    scores = scores.masked_fill(~visible, -torch.inf).masked_fill(nowhere, 0)
    return scores.softmax(-1) * visible


def _scores(inputs: AttentionInputs) -> Tensor:
    groups = inputs.query.shape[1] // inputs.key.shape[1]
    wide = torch.promote_types(inputs.query.dtype, torch.float32)
    query, key = inputs.query.to(wide), inputs.key.to(wide).repeat_interleave(groups, 1)
    scores = query @ key.transpose(-2, -1) * inputs.factor
    return scores if inputs.bias is None else scores + inputs.bias.to(wide)


def matrix_divergence(
    p: Tensor, q: Tensor, query_mask: Tensor | None, settings: AttentionSettings
) -> AttentionSums:
    """The sum and count for matrices of probabilities, in which masked keys are zero.

    Args:
        p: of view 0, `[rows, heads, queries, keys]`.
        q: of view 1, likewise.
        query_mask: as in `attention_divergence`.
        settings: the distance; the block size is ignored.
    """
    wide = torch.promote_types(p.dtype, torch.float32)
    p, q = (matrix.to(wide) for matrix in _counted_queries(p, q, query_mask))
    count = _item_count(p, q, settings)
    if settings.distance == "squared":
        return AttentionSums((p - q).square().sum(), count)
    log_p, log_q = _log(p), _log(q)
    if settings.distance == "symmetric_kl":
        distances = ((p - q) * (log_p - log_q)).sum(-1) / 2
    else:
        middle = _log((p + q) / 2)
        distances = (p * (log_p - middle) + q * (log_q - middle)).sum(-1) / 2
    # Rounding alone can make it negative, and clamping must not remove the gradient.
    distances = torch.where(distances < 0, distances - distances.detach(), distances)
    return AttentionSums(distances.sum(), count)


def matrix_item_count(
    p: Tensor, q: Tensor, query_mask: Tensor | None, settings: AttentionSettings
) -> Tensor:
    """The count alone, of the arguments of `matrix_divergence`."""
    return _item_count(*_counted_queries(p, q, query_mask), settings)


def _counted_queries(p: Tensor, q: Tensor, query_mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """The matrices with zeros for the queries that are not counted."""
    if query_mask is None:
        return p, q
    rows = query_mask[:, None, :, None]
    return torch.where(rows, p, 0), torch.where(rows, q, 0)


def _item_count(p: Tensor, q: Tensor, settings: AttentionSettings) -> Tensor:
    if settings.distance == "squared":
        return ((p > 0) | (q > 0)).sum()
    return ((p > 0).any(-1) & (q > 0).any(-1)).sum()


def from_logarithms(
    first: AttentionInputs,
    second: AttentionInputs,
    query_mask: Tensor | None,
    settings: AttentionSettings,
) -> Tensor:
    """The same sum, with finite derivatives of any order where probabilities are zero."""
    visible_by_view = [inputs.visible_pairs() for inputs in (first, second)]
    scores = [_scores(inputs) for inputs in (first, second)]
    skipped_queries = torch.zeros_like(scores[0][..., :1], dtype=torch.bool)
    if query_mask is not None:
        skipped_queries = skipped_queries | ~query_mask[:, None, :, None]
    skipped_pairs = skipped_queries
    for visible in visible_by_view:
        if visible is not None:
            skipped_queries = skipped_queries | ~visible.any(-1, keepdim=True)
            skipped_pairs = skipped_pairs | skipped_queries | ~visible
    masked_scores = [
        (x if visible is None else x.masked_fill(~visible, -torch.inf)).masked_fill(
            skipped_queries, 0
        )
        for x, visible in zip(scores, visible_by_view, strict=True)
    ]
    log_p = torch.stack(masked_scores).log_softmax(-1)
    p = log_p.exp()
    if settings.distance == "squared":
        return (p[0] - p[1]).square().sum()
    log_p = log_p.masked_fill(skipped_pairs, 0)
    if settings.distance == "symmetric_kl":
        return ((p[0] - p[1]) * (log_p[0] - log_p[1])).sum() / 2
    middle = log_p.logsumexp(0) - math.log(2)
    return (p * (log_p - middle).masked_fill(skipped_pairs, 0)).sum() / 2


def _log(p: Tensor) -> Tensor:
    """The logarithm, finite at zero, where it is then multiplied by zero."""
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()
