"""The closed form of the most frequent case: two views, symmetric KL, no class missing.

It takes few passes, in place, over some items at a time, so that they stay in the processor's
cache. With r = log p − log q, the gradient by the first view's scores is
p [w₁ + h (1 − KL(p‖q) + r)] − h q, where h is half the weight of the distance and w₁ the weight of
the cross-entropy; that of the second view follows by exchanging p and q. No buffer holds
log-probabilities: r is the difference of the scores minus that of their normalisers.
"""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.fused_linear_consistency.closed_form import Parts
from dropsmith.kernels.fused_linear_consistency.settings import HeadSettings, Mix

_BLOCK = 2**20
"""The number of a view's scores in a block: 4 MB of float32.

Smaller blocks fit a faster cache, but threads wait for each other after every operation.
"""


def blockwise(
    scores: Tensor,
    spare: Tensor,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
    with_grads: bool,
) -> Parts:
    """`parts_of` for two views, some items at a time; the gradient overwrites the scores.

    `spare` is a flat buffer of the size of `spare_size`.
    """
    block = _chunk_size(scores.shape[-1])
    task, consistency = scores.new_zeros(2), scores.new_zeros(())
    for first in range(0, len(labels), block):
        chunk = slice(first, first + block)
        part = scores[:, chunk]
        losses, distance = two_views(
            part, spare[: part.numel()].view(part.shape), labels[chunk], settings, mix, with_grads
        )
        task += losses
        consistency += distance
    return Parts(task, consistency, scores if with_grads else None)


def spare_size(items: int, classes: int) -> int:
    """The number of elements of the spare buffer for some items."""
    return 2 * classes * min(items, _chunk_size(classes))


def _chunk_size(classes: int) -> int:
    return max(1, _BLOCK // classes)


def two_views(
    scores: Tensor,
    spare: Tensor,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
    with_grads: bool,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each view and their distance; scores become the gradient of the mix.

    Args:
        scores: `[2, items, classes]`, float32 or float64.
        spare: a buffer of the same shape, overwritten.
        labels: `[items]`.
        settings: of which smoothing is used.
        mix: the factors of the sums whose gradient is computed.
        with_grads: whether a gradient is computed.
    """
    targets = labels.expand(2, -1).unsqueeze(-1)
    top = scores.amax(-1, keepdim=True)
    for view, buffer in zip(scores, spare, strict=True):
        # One by one: both together are not contiguous in memory and would be copied.
        torch.softmax(view, -1, out=buffer)
    p, q = spare
    normalisers = top - spare.amax(-1, keepdim=True).log()
    task = _task(scores, normalisers, targets, settings)
    forward, reverse = scores
    torch.sub(forward, reverse, out=reverse).sub_(normalisers[0] - normalisers[1])
    torch.mul(p, reverse, out=forward)
    reverse.mul_(q)
    first_kl, second_kl = forward.sum(-1, keepdim=True), -reverse.sum(-1, keepdim=True)
    consistency = (first_kl.clamp(min=0) + second_kl.clamp(min=0)).sum() / 2
    if with_grads:
        half = mix.consistency / 2
        forward.sub_(q)
        reverse.add_(p)
        p.mul_(mix.task[0] + half * (1 - first_kl))
        q.mul_(mix.task[1] + half * (1 - second_kl))
        torch.add(p, forward, alpha=half, out=forward)
        torch.sub(q, reverse, alpha=half, out=reverse)
        _subtract_target(scores, targets, settings, mix)
    return task, consistency


def _task(scores: Tensor, normalisers: Tensor, targets: Tensor, settings: HeadSettings) -> Tensor:
    label_loss = (normalisers - scores.gather(-1, targets)).sum((1, 2))
    if not settings.smoothing:
        return label_loss
    spread = (normalisers - scores.mean(-1, keepdim=True)).sum((1, 2))
    return (1 - settings.smoothing) * label_loss + settings.smoothing * spread


def _subtract_target(scores: Tensor, targets: Tensor, settings: HeadSettings, mix: Mix) -> None:
    """Subtract the target of the cross-entropy from the gradient."""
    for grad, label, weight in zip(scores, targets, mix.task, strict=True):
        if settings.smoothing:
            grad.sub_(weight * settings.smoothing / grad.shape[-1])
        target_weight: Any = -weight * (1 - settings.smoothing)
        grad.scatter_add_(-1, label, torch.full_like(label, target_weight, dtype=grad.dtype))
