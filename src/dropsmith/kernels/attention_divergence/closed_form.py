"""Distances between two views' probabilities in one block, with gradients by the scores."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

DistanceAndSlopes = tuple[Tensor, Tensor, Tensor]
"""The sum of distances, and its gradient by the scores of each view."""

DistanceOf = Callable[[Tensor, Tensor, Tensor | None], DistanceAndSlopes]
"""Takes the scores of two views, `[..., keys]`, and the mask of pairs that are not counted.

The scores may be overwritten. Those that are not counted are −inf in both views, or zero for all
keys of a query in both.
"""


def squared(a: Tensor, b: Tensor, skipped_pairs: Tensor | None) -> DistanceAndSlopes:
    """Σ (p − q)²; by p's scores 2 p (p − q − Σ p (p − q))."""
    p, q = torch.softmax(a, -1), torch.softmax(b, -1)
    gap = torch.sub(p, q, out=a)
    slopes = [
        p_view.mul_(gap - _dots(p_view, gap)).mul_(2 * sign) for p_view, sign in ((p, 1), (q, -1))
    ]
    return gap.square_().sum(), slopes[0], slopes[1]


def symmetric_kl(a: Tensor, b: Tensor, skipped_pairs: Tensor | None) -> DistanceAndSlopes:
    """½ Σ (p − q)(log p − log q); by p's scores ½ [p (d − Σ p d) + p − q], d = log p − log q."""
    log_p, log_q = a.log_softmax(-1), b.log_softmax(-1)
    p, q = torch.exp(log_p, out=a), torch.exp(log_q, out=b)
    ratio = _zero(log_p.sub_(log_q), skipped_pairs)
    first_kl, second_kl = _dots(p, ratio), _dots(q, ratio)
    gap = p - q
    slope_p = p.mul_(ratio - first_kl).add_(gap).mul_(0.5)
    slope_q = q.mul_(ratio.sub_(second_kl)).add_(gap).mul_(-0.5)
    return (first_kl - second_kl).clamp(min=0).sum() / 2, slope_p, slope_q


def jensen_shannon(a: Tensor, b: Tensor, skipped_pairs: Tensor | None) -> DistanceAndSlopes:
    """½ (KL(p‖m) + KL(q‖m)), m = (p + q) / 2; by p's scores ½ p (log p − log m − KL(p‖m))."""
    log_p, log_q = a.log_softmax(-1), b.log_softmax(-1)
    log_ratio = _zero(log_q - log_p, skipped_pairs)
    total, slopes = a.new_zeros(()), []
    for log, ratio in ((log_p, _from_middle(log_ratio)), (log_q, _from_middle(log_ratio.neg_()))):
        p_view = log.exp_()
        kl = _dots(p_view, ratio)
        total = total + kl.clamp(min=0).sum() / 2
        slopes.append(p_view.mul_(ratio.sub_(kl)).mul_(0.5))
    return total, slopes[0], slopes[1]


def _zero(ratio: Tensor, skipped_pairs: Tensor | None) -> Tensor:
    return ratio if skipped_pairs is None else ratio.masked_fill_(skipped_pairs, 0)


def _from_middle(log_ratio: Tensor) -> Tensor:
    """log p − log m from log q − log p: exactly 0 for equal views, and finite for distant ones."""
    near = torch.log1p(torch.expm1(log_ratio.clamp(max=20)).div_(2)).neg_()
    return torch.where(log_ratio > 20, math.log(2) - log_ratio, near)


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """The dot products of corresponding rows, without a buffer of all products."""
    return torch.einsum("...k,...k->...", a, b).unsqueeze(-1)


DISTANCES: dict[str, DistanceOf] = {
    "squared": squared,
    "symmetric_kl": symmetric_kl,
    "jensen_shannon": jensen_shannon,
}
