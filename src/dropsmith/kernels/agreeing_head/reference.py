"""The definition: all scores at once, differentiated by autograd."""

import math
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.kernels.agreeing_head.settings import HeadSettings, HeadSums, Mix


def agreeing_head(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
) -> HeadSums:
    """See `dropsmith.kernels.agreeing_head.agreeing_head`."""
    counted = labels != settings.ignore_index
    return agreeing_scores(F.linear(hidden[:, counted], weight, bias), labels[counted], settings)


def agreeing_scores(scores: Tensor, labels: Tensor, settings: HeadSettings) -> HeadSums:
    """See `dropsmith.kernels.agreeing_head.agreeing_scores`."""
    counted = labels != settings.ignore_index
    scores = scores[:, counted]
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    gone = scores.isneginf()
    if settings.cap is not None:
        scores = settings.cap * torch.tanh(scores / settings.cap)
        scores = scores.masked_fill(gone, -torch.inf)
    log_p = scores.log_softmax(-1)
    picked = -log_p.gather(-1, labels[counted].expand(len(scores), -1)[..., None]).squeeze(-1)
    even = -_mean(log_p, gone)
    task = (1 - settings.smoothing) * picked + (
        settings.smoothing * even if settings.smoothing else 0
    )
    pairs = list(combinations(range(len(scores)), 2))
    apart = [_apart(scores[[a, b]], gone[[a, b]], settings) for a, b in pairs]
    agreement = sum(apart) / len(pairs) if pairs else task.sum() * 0
    return HeadSums(task.sum(-1), torch.as_tensor(agreement), int(counted.sum()))


def _apart(scores: Tensor, gone: Tensor, settings: HeadSettings) -> Tensor:
    if settings.distance != "jensen_shannon" and not torch.equal(gone[0], gone[1]):
        return scores.new_tensor(torch.inf)
    if settings.distance == "squared":
        a, b = scores.masked_fill(gone, 0)
        return _mean((a - b).square(), gone[0]).sum()
    log_p = scores.log_softmax(-1)
    p = log_p.exp()
    # A class at -inf is not there: its logarithm is multiplied with zero.
    if settings.distance == "jensen_shannon":
        log_m = log_p.masked_fill(gone.all(0), 0).logsumexp(0) - math.log(2)
        return (p * (log_p - log_m).masked_fill(gone, 0)).sum() / 2
    log_p = log_p.masked_fill(gone, 0)
    return ((p[0] - p[1]) * (log_p[0] - log_p[1])).sum() / 2


def _mean(values: Tensor, gone: Tensor) -> Tensor:
    """Over the classes that are there."""
    return values.masked_fill(gone, 0).sum(-1) / (~gone).sum(-1).clamp(min=1)
