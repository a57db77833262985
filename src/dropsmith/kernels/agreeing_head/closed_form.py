"""Loss and gradient of some items' scores at once, in closed form and few passes over them."""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from dropsmith.kernels.agreeing_head.classes import Classes
from dropsmith.kernels.agreeing_head.distances import PAIRS, squared
from dropsmith.kernels.agreeing_head.settings import HeadSettings, Mix


@dataclass(frozen=True)
class Parts:
    """What some items add to the sums, and the gradient of the mix by their scores.

    Args:
        task: cross-entropy, `[views]`.
        agreement: distance between views.
        grads: `[views, items, classes]`, or None.
    """

    task: Tensor
    agreement: Tensor
    grads: Tensor | None


def parts_of(
    scores: Tensor, labels: Tensor, settings: HeadSettings, mix: Mix, classes: Classes, graded: bool
) -> Parts:
    """Of scores `[views, items, classes]`, which are overwritten."""
    pairs = list(combinations(range(len(scores)), 2))
    raw = scores.clone() if settings.distance == "squared" and pairs else None
    log_p = torch.log_softmax(scores, -1)
    p = torch.exp(log_p, out=scores)
    chosen = labels.unsqueeze(-1)
    task = torch.stack([_task(own, chosen, settings, classes, v) for v, own in enumerate(log_p)])
    agreement = task.new_zeros(())
    grads = p * p.new_tensor(mix.task).view(-1, 1, 1) if graded else None
    for pair in pairs:
        share = mix.agreement / len(pairs)
        if raw is not None:
            apart = squared(raw, pair, grads, share, classes)
        else:
            apart = PAIRS[settings.distance](log_p, p, pair, grads, share, classes)
        agreement = agreement + apart / len(pairs)
    for view, weight in enumerate(mix.task if grads is not None else ()):
        grad = grads[view]  # pyright: ignore[reportOptionalSubscript]
        _towards(grad, chosen, weight, settings, classes, view)
    return Parts(task, agreement, grads)


def _task(
    log_p: Tensor, chosen: Tensor, settings: HeadSettings, classes: Classes, view: int
) -> Tensor:
    picked = -log_p.gather(-1, chosen).sum()
    if not settings.smoothing:
        return picked
    gone = classes.gone_in(view)
    even = log_p if gone is None else log_p.masked_fill(gone, 0)
    spread = -(even.sum(-1, True) / classes.there(gone)).sum()
    return (1 - settings.smoothing) * picked + settings.smoothing * spread


def _towards(
    grad: Tensor,
    chosen: Tensor,
    weight: float,
    settings: HeadSettings,
    classes: Classes,
    view: int,
) -> None:
    """Take the target of the cross-entropy from a gradient."""
    if settings.smoothing:
        gone = classes.gone_in(view)
        even = grad.new_tensor(weight * settings.smoothing) / classes.there(gone)
        if gone is not None:
            even = torch.where(gone, 0, even)
        grad.sub_(even)
    taken = -weight * (1 - settings.smoothing)
    grad.scatter_add_(-1, chosen, torch.full_like(chosen, taken, dtype=grad.dtype))
