"""Loss and gradient of some items' scores, in closed form and few passes over them."""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from dropsmith.kernels.fused_linear_consistency.classes import Classes
from dropsmith.kernels.fused_linear_consistency.distances import PAIRS, squared
from dropsmith.kernels.fused_linear_consistency.settings import HeadSettings, Mix


@dataclass(frozen=True)
class Parts:
    """The sums of some items, and the gradient of the mix by their scores.

    Args:
        task: cross-entropy, `[views]`.
        consistency: distance between views.
        grads: `[views, items, classes]`, or None.
    """

    task: Tensor
    consistency: Tensor
    grads: Tensor | None


def parts_of(
    scores: Tensor,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
    classes: Classes,
    with_grads: bool,
) -> Parts:
    """The parts of scores `[views, items, classes]`, which are overwritten."""
    pairs = list(combinations(range(len(scores)), 2))
    raw = scores.clone() if settings.distance == "squared" and pairs else None
    log_p = torch.log_softmax(scores, -1)
    p = torch.exp(log_p, out=scores)
    targets = labels.unsqueeze(-1)
    task = torch.stack(
        [_task(log_p_view, targets, settings, classes, v) for v, log_p_view in enumerate(log_p)]
    )
    consistency = task.new_zeros(())
    grads = p * p.new_tensor(mix.task).view(-1, 1, 1) if with_grads else None
    for pair in pairs:
        share = mix.consistency / len(pairs)
        if raw is not None:
            distance = squared(raw, pair, grads, share, classes)
        else:
            distance = PAIRS[settings.distance](log_p, p, pair, grads, share, classes)
        consistency = consistency + distance / len(pairs)
    for view, weight in enumerate(mix.task if grads is not None else ()):
        grad = grads[view]  # pyright: ignore[reportOptionalSubscript]
        _subtract_target(grad, targets, weight, settings, classes, view)
    return Parts(task, consistency, grads)


def _task(
    log_p: Tensor, targets: Tensor, settings: HeadSettings, classes: Classes, view: int
) -> Tensor:
    label_loss = -log_p.gather(-1, targets).sum()
    if not settings.smoothing:
        return label_loss
    missing = classes.missing_in(view)
    even = log_p if missing is None else log_p.masked_fill(missing, 0)
    spread = -(even.sum(-1, True) / classes.remaining(missing)).sum()
    return (1 - settings.smoothing) * label_loss + settings.smoothing * spread


def _subtract_target(
    grad: Tensor,
    targets: Tensor,
    weight: float,
    settings: HeadSettings,
    classes: Classes,
    view: int,
) -> None:
    """Subtract the target of the cross-entropy from a gradient."""
    if settings.smoothing:
        missing = classes.missing_in(view)
        even = grad.new_tensor(weight * settings.smoothing) / classes.remaining(missing)
        if missing is not None:
            even = torch.where(missing, 0, even)
        grad.sub_(even)
    target_weight = -weight * (1 - settings.smoothing)
    grad.scatter_add_(-1, targets, torch.full_like(targets, target_weight, dtype=grad.dtype))
