"""`closed_form` for what is asked most often: two views, their symmetric KL, every class there.

The fewest passes that serve, in place and over some items at a time, so that they stay in a
processor's cache: with r = log p − log q, the gradient by the first view's scores is
p [w₁ + h (1 − KL(p‖q) + r)] − h q, with h half the weight of the distance and w₁ that of the
cross-entropy, and the second's is its mirror image. Logarithms of probabilities are never written
out: r is the difference of the scores less that of their normalisers.
"""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_head.closed_form import Parts
from dropsmith.kernels.agreeing_head.settings import HeadSettings, Mix

_BLOCK = 2**20
"""How many scores of a view are worked on at a time: 4 MB of float32.

Fewer stay nearer to the processor; but several threads wait for one another after every operation.
"""


def blockwise(
    scores: Tensor, spare: Tensor, labels: Tensor, settings: HeadSettings, mix: Mix, graded: bool
) -> Parts:
    """`parts_of` for two views, some items at a time; the gradient takes the scores' place.

    `spare` is flat, with `room_for` as many items.
    """
    block = _items_at_a_time(scores.shape[-1])
    task, agreement = scores.new_zeros(2), scores.new_zeros(())
    for first in range(0, len(labels), block):
        some = slice(first, first + block)
        part = scores[:, some]
        own, apart = two_views(
            part, spare[: part.numel()].view(part.shape), labels[some], settings, mix, graded
        )
        task += own
        agreement += apart
    return Parts(task, agreement, scores if graded else None)


def room_for(items: int, classes: int) -> int:
    """How many numbers of spare room so many items take."""
    return 2 * classes * min(items, _items_at_a_time(classes))


def _items_at_a_time(classes: int) -> int:
    return max(1, _BLOCK // classes)


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
    top = scores.amax(-1, keepdim=True)
    for own, room in zip(scores, spare, strict=True):
        # Both at once would be copied first: they do not lie together in memory.
        torch.softmax(own, -1, out=room)
    p, q = spare
    normalisers = top - spare.amax(-1, keepdim=True).log()
    task = _task(scores, normalisers, chosen, settings)
    forth, back = scores
    torch.sub(forth, back, out=back).sub_(normalisers[0] - normalisers[1])
    torch.mul(p, back, out=forth)
    back.mul_(q)
    there, again = forth.sum(-1, keepdim=True), -back.sum(-1, keepdim=True)
    agreement = (there.clamp(min=0) + again.clamp(min=0)).sum() / 2
    if graded:
        half = mix.agreement / 2
        forth.sub_(q)
        back.add_(p)
        p.mul_(mix.task[0] + half * (1 - there))
        q.mul_(mix.task[1] + half * (1 - again))
        torch.add(p, forth, alpha=half, out=forth)
        torch.sub(q, back, alpha=half, out=back)
        _towards(scores, chosen, settings, mix)
    return task, agreement


def _task(scores: Tensor, normalisers: Tensor, chosen: Tensor, settings: HeadSettings) -> Tensor:
    picked = (normalisers - scores.gather(-1, chosen)).sum((1, 2))
    if not settings.smoothing:
        return picked
    spread = (normalisers - scores.mean(-1, keepdim=True)).sum((1, 2))
    return (1 - settings.smoothing) * picked + settings.smoothing * spread


def _towards(scores: Tensor, chosen: Tensor, settings: HeadSettings, mix: Mix) -> None:
    """Take the target of the cross-entropy from the gradient."""
    for grad, own, weight in zip(scores, chosen, mix.task, strict=True):
        if settings.smoothing:
            grad.sub_(weight * settings.smoothing / grad.shape[-1])
        taken: Any = -weight * (1 - settings.smoothing)
        grad.scatter_add_(-1, own, torch.full_like(own, taken, dtype=grad.dtype))
