"""`closed_form` for what is asked most often: two views, their symmetric KL, every class there.

The fewest passes that serve, in place and over a few items at a time, so that they stay in a
processor's cache. With e = exp(z − max z), s = Σ e, δ = log s₁ − log s₂ and r = z₁ − z₂, each
shifted by its maximum: p = e / s, log p − log q = r − δ, and KL(p‖q) = Σ p r − δ. The gradient by
z₁ is p [w₁ + h (1 − KL(p‖q) + r − δ)] − h q, with h half the weight of the distance and w₁ that of
the cross-entropy.
"""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_head.closed_form import Parts
from dropsmith.kernels.agreeing_head.settings import HeadSettings, Mix

_BLOCK = 2**18
"""How many scores of a view are worked on at a time: 1 MB of float32."""


def blockwise(
    scores: Tensor, labels: Tensor, settings: HeadSettings, mix: Mix, graded: bool
) -> Parts:
    """`parts_of` for two views, some items at a time; the gradient takes the scores' place."""
    block = max(1, _BLOCK // scores.shape[-1])
    spare = torch.empty_like(scores[:, :block])
    task, agreement = scores.new_zeros(2), scores.new_zeros(())
    for first in range(0, len(labels), block):
        some = slice(first, first + block)
        part, room = scores[:, some], spare[:, : len(labels) - first]
        own, apart = two_views(part, room, labels[some], settings, mix, graded)
        task += own
        agreement += apart
    return Parts(task, agreement, scores if graded else None)


def two_views(
    scores: Tensor, spare: Tensor, labels: Tensor, settings: HeadSettings, mix: Mix, graded: bool
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each view and their distance; scores become the gradient of the mix.

    Args:
        scores: `[2, items, classes]`, float32 or float64.
        spare: room of the same shape, overwritten.
        labels: `[items]`.
        settings: smoothing counts here.
        mix: what the gradient is of.
        graded: whether a gradient is wanted.
    """
    chosen = labels.expand(2, -1).unsqueeze(-1)
    scores.sub_(scores.amax(-1, True))
    likely = torch.exp(scores, out=spare)
    total = likely.sum(-1, True)
    log_total = total.log()
    task = _task(scores, chosen, log_total, settings)
    shift = log_total[0] - log_total[1]
    ratio, other = torch.sub(scores[0], scores[1], out=scores[0]), scores[1]
    there = _dots(likely[0], ratio) / total[0] - shift
    back = shift - _dots(likely[1], ratio) / total[1]
    agreement = (there.clamp(min=0) + back.clamp(min=0)).sum() / 2
    if graded:
        half = mix.agreement / 2
        first, second = half / total[0], half / total[1]
        same = (mix.task[0] + half * (1 - there - shift)) / total[0]
        opposite = (mix.task[1] + half * (1 - back + shift)) / total[1]
        torch.mul(ratio, -second, out=other).add_(opposite).mul_(likely[1])
        ratio.mul_(first).add_(same).mul_(likely[0])
        ratio.sub_(likely[1].mul_(second))
        other.sub_(likely[0].mul_(first))
        _towards(scores, chosen, settings, mix)
    return task, agreement


def _task(scores: Tensor, chosen: Tensor, log_total: Tensor, settings: HeadSettings) -> Tensor:
    picked = (log_total - scores.gather(-1, chosen)).sum((1, 2))
    if not settings.smoothing:
        return picked
    spread = (log_total - scores.mean(-1, True)).sum((1, 2))
    return (1 - settings.smoothing) * picked + settings.smoothing * spread


def _towards(scores: Tensor, chosen: Tensor, settings: HeadSettings, mix: Mix) -> None:
    """Take the target of the cross-entropy from the gradient."""
    for grad, own, weight in zip(scores, chosen, mix.task, strict=True):
        if settings.smoothing:
            grad.sub_(weight * settings.smoothing / grad.shape[-1])
        taken: Any = -weight * (1 - settings.smoothing)
        grad.scatter_add_(-1, own, torch.full_like(own, taken, dtype=grad.dtype))


def _dots(a: Tensor, b: Tensor) -> Tensor:
    """The product of each row with its like, `[rows, 1]`."""
    return torch.bmm(a.unsqueeze(1), b.unsqueeze(2)).view(-1, 1)
