"""The definition: both views' probabilities as whole matrices, differentiated by autograd."""

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
    groups = looks.query.shape[1] // looks.key.shape[1]
    wide = torch.promote_types(looks.query.dtype, torch.float32)
    query, key = looks.query.to(wide), looks.key.to(wide).repeat_interleave(groups, 1)
    scores = query @ key.transpose(-2, -1) * looks.factor
    if looks.bias is not None:
        scores = scores + looks.bias.to(wide)
    allowed = looks.allowed()
    if allowed is None:
        return scores.softmax(-1)
    allowed = allowed.expand_as(scores)
    nowhere = ~allowed.any(-1, keepdim=True)
    scores = scores.masked_fill(~allowed, -torch.inf).masked_fill(nowhere, 0)
    return scores.softmax(-1) * allowed


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
    return AttentionSums(apart.clamp(min=0).sum(), somewhere.sum())


def _log(p: Tensor) -> Tensor:
    """The logarithm; of a zero, that of the smallest number, which is then multiplied with zero."""
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()
