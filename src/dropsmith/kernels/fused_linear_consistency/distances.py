"""Distances between a pair of views, with the gradients of their scores.

Each function takes log-probabilities and probabilities `[views, items, classes]`, the pair, the
gradients to add to (None for none), the weight of this pair, and the classes. A class that one
view alone has makes the distance +inf, without a gradient; the Jensen-Shannon divergence stays
finite.
"""

import torch
from torch import Tensor

from dropsmith.kernels.fused_linear_consistency.classes import Classes, zero_missing

_FAR = 80.0
"""The largest difference of log-probabilities: beyond e⁸⁰ exponentials would overflow."""


def symmetric(
    log_p: Tensor,
    p: Tensor,
    pair: tuple[int, int],
    grads: Tensor | None,
    share: float,
    classes: Classes,
) -> Tensor:
    """Half of Σ (p − q)(log p − log q); by p's score ½ [p (log p − log q − KL(p‖q) + 1) − q]."""
    if classes.differ(pair):
        return p.new_tensor(torch.inf)
    a, b = pair
    ratio = zero_missing(log_p[a] - log_p[b], classes.missing_in(pair[0]))
    forward_kl, reverse_kl = _dots(p[a], ratio), -_dots(p[b], ratio)
    if grads is not None:
        ratio.mul_(share / 2)
        for view, peer, distance, sign in ((a, b, forward_kl, 1), (b, a, reverse_kl, -1)):
            factor = (share / 2 * (1 - distance)).unsqueeze(-1)
            grads[view].addcmul_(p[view], ratio, value=sign).addcmul_(p[view], factor)
            grads[view].sub_(p[peer], alpha=share / 2)
    return (forward_kl.clamp(min=0) + reverse_kl.clamp(min=0)).sum() / 2


def jensen_shannon(
    log_p: Tensor,
    p: Tensor,
    pair: tuple[int, int],
    grads: Tensor | None,
    share: float,
    classes: Classes,
) -> Tensor:
    """Half of KL(p‖m) + KL(q‖m); by p's score ½ p (log p − log m − KL(p‖m))."""
    total = p.new_zeros(())
    for view, peer in (pair, pair[::-1]):
        # log m − log p = log1p(expm1(log q − log p) / 2) is exact for nearly equal views.
        ratio = zero_missing(log_p[peer] - log_p[view], classes.missing_in(view)).clamp_(max=_FAR)
        ratio = ratio.expm1_().div_(2).log1p_().neg_()
        distance = _dots(p[view], ratio)
        total = total + distance.clamp(min=0).sum() / 2
        if grads is not None:
            grads[view].addcmul_(p[view], ratio.sub_(distance.unsqueeze(-1)), value=share / 2)
    return total


def squared(
    raw: Tensor, pair: tuple[int, int], grads: Tensor | None, share: float, classes: Classes
) -> Tensor:
    """The mean over classes of (a − b)²; by a's score 2 (a − b) / classes."""
    if classes.differ(pair):
        return raw.new_tensor(torch.inf)
    missing = classes.missing_in(pair[0])
    remaining = classes.remaining(missing)
    distance = zero_missing(raw[pair[0]] - raw[pair[1]], missing)
    if grads is not None:
        slope = distance / remaining
        for view, sign in zip(pair, (1, -1), strict=True):
            grads[view].add_(slope, alpha=sign * 2 * share)
    return (distance.square_().sum(-1, True) / remaining).sum()


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """The dot products of corresponding rows, without a buffer of all products."""
    return torch.bmm(a.unsqueeze(1), b.unsqueeze(2)).view(-1)


PAIRS = {"symmetric_kl": symmetric, "jensen_shannon": jensen_shannon}
