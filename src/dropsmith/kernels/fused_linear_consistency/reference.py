"""The definition: all scores at once, differentiated by autograd."""

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.kernels.fused_linear_consistency.settings import HeadSettings, HeadSums, Mix


def fused_linear_consistency(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
) -> HeadSums:
    """See `dropsmith.kernels.fused_linear_consistency.fused_linear_consistency`."""
    mask = labels != settings.ignore_index
    return consistency_from_scores(F.linear(hidden[:, mask], weight, bias), labels[mask], settings)


def consistency_from_scores(scores: Tensor, labels: Tensor, settings: HeadSettings) -> HeadSums:
    """See `dropsmith.kernels.fused_linear_consistency.consistency_from_scores`."""
    mask = labels != settings.ignore_index
    scores = scores[:, mask]
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    missing = scores.isneginf()
    if settings.cap is not None:
        scores = settings.cap * torch.tanh(scores / settings.cap)
        scores = scores.masked_fill(missing, -torch.inf)
    log_p = scores.log_softmax(-1)
    label_loss = -log_p.gather(-1, labels[mask].expand(len(scores), -1)[..., None]).squeeze(-1)
    even = -_mean(log_p, missing)
    task = (1 - settings.smoothing) * label_loss + (
        settings.smoothing * even if settings.smoothing else 0
    )
    pairs = list(combinations(range(len(scores)), 2))
    distances = [_distance(scores[[a, b]], missing[[a, b]], settings) for a, b in pairs]
    consistency = sum(distances) / len(pairs) if pairs else task.sum() * 0
    return HeadSums(task.sum(-1), torch.as_tensor(consistency), int(mask.sum()))


def _distance(scores: Tensor, missing: Tensor, settings: HeadSettings) -> Tensor:
    if settings.distance != "jensen_shannon" and not torch.equal(missing[0], missing[1]):
        return scores.new_tensor(torch.inf)
    if settings.distance == "squared":
        a, b = scores.masked_fill(missing, 0)
        return _mean((a - b).square(), missing[0]).sum()
    log_p = scores.log_softmax(-1)
    p = log_p.exp()
    # A class at -inf is missing: its logarithm is multiplied by zero.
    if settings.distance == "jensen_shannon":
        log_m = log_p.masked_fill(missing.all(0), 0).logsumexp(0) - math.log(2)
        return (p * (log_p - log_m).masked_fill(missing, 0)).sum() / 2
    log_p = log_p.masked_fill(missing, 0)
    return ((p[0] - p[1]) * (log_p[0] - log_p[1])).sum() / 2


def _mean(values: Tensor, missing: Tensor) -> Tensor:
    """The mean over the classes that are not missing."""
    return values.masked_fill(missing, 0).sum(-1) / (~missing).sum(-1).clamp(min=1)
