"""How far a pair of views is apart, and what that adds to the gradients of their scores.

Each function takes log-probabilities and probabilities `[views, items, classes]`, the pair, the
gradients to add to (None where none are wanted), the weight of this pair, and the classes.
A class in one view only makes the distance +inf, which has no gradient; the Jensen-Shannon
divergence stays finite.
"""

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_head.classes import Classes, emptied

_FAR = 80.0
"""A class that is e⁸⁰ times likelier in the other view adds nothing here; more would overflow."""


def symmetric(
    log_p: Tensor,
    p: Tensor,
    pair: tuple[int, int],
    grads: Tensor | None,
    share: float,
    classes: Classes,
) -> Tensor:
    """Half of Σ (p − q)(log p − log q); by p's score ½ [p (log p − log q − KL(p‖q) + 1) − q]."""
    if classes.alone(pair):
        return p.new_tensor(torch.inf)
    a, b = pair
    ratio = emptied(log_p[a] - log_p[b], classes.gone_in(pair[0]))
    there, back = _dots(p[a], ratio), -_dots(p[b], ratio)
    if grads is not None:
        ratio.mul_(share / 2)
        for one, other, apart, sign in ((a, b, there, 1), (b, a, back, -1)):
            factor = (share / 2 * (1 - apart)).unsqueeze(-1)
            grads[one].addcmul_(p[one], ratio, value=sign).addcmul_(p[one], factor)
            grads[one].sub_(p[other], alpha=share / 2)
    return (there.clamp(min=0) + back.clamp(min=0)).sum() / 2


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
    for one, other in (pair, pair[::-1]):
        # log m − log p = log1p(expm1(log q − log p) / 2) keeps its digits where the views are near.
        ratio = emptied(log_p[other] - log_p[one], classes.gone_in(one)).clamp_(max=_FAR)
        ratio = ratio.expm1_().div_(2).log1p_().neg_()
        apart = _dots(p[one], ratio)
        total = total + apart.clamp(min=0).sum() / 2
        if grads is not None:
            grads[one].addcmul_(p[one], ratio.sub_(apart.unsqueeze(-1)), value=share / 2)
    return total


def squared(
    raw: Tensor, pair: tuple[int, int], grads: Tensor | None, share: float, classes: Classes
) -> Tensor:
    """The mean over classes of (a − b)²; by a's score 2 (a − b) / classes."""
    if classes.alone(pair):
        return raw.new_tensor(torch.inf)
    gone = classes.gone_in(pair[0])
    there = classes.there(gone)
    apart = emptied(raw[pair[0]] - raw[pair[1]], gone)
    if grads is not None:
        slope = apart / there
        for one, sign in zip(pair, (1, -1), strict=True):
            grads[one].add_(slope, alpha=sign * 2 * share)
    return (apart.square_().sum(-1, True) / there).sum()


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """The product of each row with its like, without a buffer of all products."""
    return torch.bmm(a.unsqueeze(1), b.unsqueeze(2)).view(-1)


PAIRS = {"symmetric_kl": symmetric, "jensen_shannon": jensen_shannon}
