"""The definition: both views' probabilities as whole matrices, differentiated by autograd."""

import math

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_attention.settings import AttentionSettings, AttentionSums, Looks


def agreeing_attention(
    first: Looks, second: Looks, counted: Tensor | None, settings: AttentionSettings
) -> AttentionSums:
    """See `dropsmith.kernels.agreeing_attention.agreeing_attention`."""
    return agreeing_matrices(matrix(first), matrix(second), counted, settings)


def matrix(looks: Looks) -> Tensor:
    """The probabilities `[rows, heads, queries, keys]`; zeros where a query may look nowhere."""
    scores, allowed = _scores(looks), looks.allowed()
    if allowed is None:
        return scores.softmax(-1)
    allowed = allowed.expand_as(scores)
    nowhere = ~allowed.any(-1, keepdim=True)
    scores = scores.masked_fill(~allowed, -torch.inf).masked_fill(nowhere, 0)
    return scores.softmax(-1) * allowed


def _scores(looks: Looks) -> Tensor:
    groups = looks.query.shape[1] // looks.key.shape[1]
    wide = torch.promote_types(looks.query.dtype, torch.float32)
    query, key = looks.query.to(wide), looks.key.to(wide).repeat_interleave(groups, 1)
    scores = query @ key.transpose(-2, -1) * looks.factor
    return scores if looks.bias is None else scores + looks.bias.to(wide)


def agreeing_matrices(
    p: Tensor, q: Tensor, counted: Tensor | None, settings: AttentionSettings
) -> AttentionSums:
    """The same of probabilities that are there, where a zero stands for a pair that is not allowed.

    Args:
        p: of view 0, `[rows, heads, queries, keys]`.
        q: of view 1, likewise.
        counted: as in `agreeing_attention`.
        settings: the distance; all is held at once.
    """
    wide = torch.promote_types(p.dtype, torch.float32)
    if counted is not None:
        kept = counted[:, None, :, None]
        p, q = torch.where(kept, p, 0), torch.where(kept, q, 0)
    p, q = p.to(wide), q.to(wide)
    if settings.distance == "squared":
        pairs = (p > 0) | (q > 0)
        return AttentionSums((p - q).square().sum(), pairs.sum())
    log_p, log_q = _log(p), _log(q)
    if settings.distance == "symmetric_kl":
        apart = ((p - q) * (log_p - log_q)).sum(-1) / 2
    else:
        middle = _log((p + q) / 2)
        apart = (p * (log_p - middle) + q * (log_q - middle)).sum(-1) / 2
    somewhere = (p > 0).any(-1) & (q > 0).any(-1)
    # Below zero by rounding alone, which must not take the gradient away.
    apart = torch.where(apart < 0, apart - apart.detach(), apart)
    return AttentionSums(apart.sum(), somewhere.sum())


def from_logarithms(
    first: Looks, second: Looks, counted: Tensor | None, settings: AttentionSettings
) -> Tensor:
    """The same sum, whose derivatives of any order are finite where probabilities vanish."""
    allowed = [looks.allowed() for looks in (first, second)]
    scores = [_scores(looks) for looks in (first, second)]
    dead = torch.zeros_like(scores[0][..., :1], dtype=torch.bool)
    if counted is not None:
        dead = dead | ~counted[:, None, :, None]
    gone = dead
    for places in allowed:
        if places is not None:
            dead = dead | ~places.any(-1, keepdim=True)
            gone = gone | dead | ~places
    filled = [
        (x if open_ is None else x.masked_fill(~open_, -torch.inf)).masked_fill(dead, 0)
        for x, open_ in zip(scores, allowed, strict=True)
    ]
    log_p = torch.stack(filled).log_softmax(-1)
    p = log_p.exp()
    if settings.distance == "squared":
        return (p[0] - p[1]).square().sum()
    log_p = log_p.masked_fill(gone, 0)
    if settings.distance == "symmetric_kl":
        return ((p[0] - p[1]) * (log_p[0] - log_p[1])).sum() / 2
    middle = log_p.logsumexp(0) - math.log(2)
    return (p * (log_p - middle).masked_fill(gone, 0)).sum() / 2


def _log(p: Tensor) -> Tensor:
    """The logarithm; of a zero, that of the smallest number, which is then multiplied with zero."""
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()
