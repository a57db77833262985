"""Loss and gradient of some items' scores at once, in closed form and few passes over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_head.settings import HeadSettings, Mix


@dataclass(frozen=True)
class Classes:
    """Which classes there are.

    Args:
        count: how many scores an item has.
        gone: True where the bias is −inf; None if it is so nowhere.
    """

    count: int
    gone: Tensor | None

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> "Classes":
        """Of a head."""
        gone = bias.isneginf() if bias is not None else None
        return cls(len(weight), gone if gone is not None and bool(gone.any()) else None)

    @property
    def there(self) -> int:
        """How many have a chance."""
        return self.count - (int(self.gone.sum()) if self.gone is not None else 0)

    def emptied(self, values: Tensor) -> Tensor:
        """The values with zeros, in place, for classes that are gone."""
        return values if self.gone is None else values.masked_fill_(self.gone, 0)


@dataclass(frozen=True)
class Parts:
    """What some items add to the sums, and the gradient of the mix by their scores.

    Args:
        task: cross-entropy, `[views]`.
        agreement: distance between views.
        grads: one tensor `[items, classes]` a view, or none.
    """

    task: Tensor
    agreement: Tensor
    grads: Sequence[Tensor]


def parts_of(
    scores: Tensor, labels: Tensor, settings: HeadSettings, mix: Mix, classes: Classes, graded: bool
) -> Parts:
    """Of scores `[views, items, classes]`, which are overwritten."""
    raw = scores.clone() if settings.distance == "squared" and len(scores) > 1 else None
    log_p = torch.log_softmax(scores, -1)
    p = torch.exp(log_p, out=scores)
    chosen = labels.expand(len(log_p), -1).unsqueeze(-1)
    task = _task(log_p, chosen, settings, classes)
    pairs = list(combinations(range(len(log_p)), 2))
    agreement = task.new_zeros(())
    grads = [own * weight for own, weight in zip(p, mix.task, strict=True)] if graded else []
    for a, b in pairs:
        share = mix.agreement / len(pairs)
        if raw is not None:
            apart = _squared(raw, (a, b), grads, share, classes)
        else:
            apart = _PAIRS[settings.distance](log_p, p, (a, b), grads, share, classes)
        agreement = agreement + apart / len(pairs)
    for grad, weight in zip(grads, mix.task, strict=False):
        _towards(grad, chosen[0], weight, settings, classes)
    return Parts(task, agreement, grads)


def _task(log_p: Tensor, chosen: Tensor, settings: HeadSettings, classes: Classes) -> Tensor:
    picked = -log_p.gather(-1, chosen).squeeze(-1).sum(-1)
    if not settings.smoothing:
        return picked
    even = log_p if classes.gone is None else log_p.masked_fill(classes.gone, 0)
    spread = -even.sum((-1, -2)) / classes.there
    return (1 - settings.smoothing) * picked + settings.smoothing * spread


def _towards(
    grad: Tensor, chosen: Tensor, weight: float, settings: HeadSettings, classes: Classes
) -> None:
    """Take the target of the cross-entropy from a gradient."""
    if settings.smoothing:
        grad.sub_(weight * settings.smoothing / classes.there)
        classes.emptied(grad)
    taken = -weight * (1 - settings.smoothing)
    grad.scatter_add_(-1, chosen, torch.full_like(chosen, taken, dtype=grad.dtype))


def _symmetric(
    log_p: Tensor,
    p: Tensor,
    pair: tuple[int, int],
    grads: Sequence[Tensor],
    share: float,
    classes: Classes,
) -> Tensor:
    """Half of Σ (p − q)(log p − log q); by p's score ½ [p (log p − log q − KL(p‖q) + 1) − q]."""
    a, b = pair
    ratio = classes.emptied(log_p[a] - log_p[b])
    there, back = _dots(p[a], ratio), -_dots(p[b], ratio)
    if grads:
        ratio.mul_(share / 2)
        for one, other, apart, sign in ((a, b, there, 1), (b, a, back, -1)):
            factor = (share / 2 * (1 - apart)).unsqueeze(-1)
            grads[one].addcmul_(p[one], ratio, value=sign).addcmul_(p[one], factor)
            grads[one].sub_(p[other], alpha=share / 2)
    return (there.clamp(min=0) + back.clamp(min=0)).sum() / 2


def _jensen_shannon(
    log_p: Tensor,
    p: Tensor,
    pair: tuple[int, int],
    grads: Sequence[Tensor],
    share: float,
    classes: Classes,
) -> Tensor:
    """Half of KL(p‖m) + KL(q‖m); by p's score ½ p (log p − log m − KL(p‖m))."""
    total = p.new_zeros(())
    # log m = log q + log1p(expm1(log p − log q) / 2) keeps its digits where the views are near.
    middle = torch.logaddexp(log_p[pair[0]], log_p[pair[1]]).sub_(torch.log(p.new_tensor(2.0)))
    for one in pair:
        ratio = classes.emptied(log_p[one] - middle)
        apart = _dots(p[one], ratio)
        total = total + apart.clamp(min=0).sum() / 2
        if grads:
            grads[one].addcmul_(p[one], ratio.sub_(apart.unsqueeze(-1)), value=share / 2)
    return total


def _squared(
    raw: Tensor, pair: tuple[int, int], grads: Sequence[Tensor], share: float, classes: Classes
) -> Tensor:
    """The mean over classes of (a − b)²; by a's score 2 (a − b) / classes."""
    apart = classes.emptied(raw[pair[0]] - raw[pair[1]])
    if grads:
        for one, sign in zip(pair, (1, -1), strict=True):
            grads[one].add_(apart, alpha=sign * 2 * share / classes.there)
    return apart.square_().sum() / classes.there


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """The product of each row with its like, without a buffer of all products."""
    return torch.bmm(a.unsqueeze(1), b.unsqueeze(2)).view(-1)


_PAIRS = {"symmetric_kl": _symmetric, "jensen_shannon": _jensen_shannon}
