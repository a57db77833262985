"""The definition: all scores at once, differentiated by autograd."""

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
    scores = F.linear(hidden[:, counted], weight, bias)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if settings.cap is not None:
        scores = settings.cap * torch.tanh(scores / settings.cap)
        if bias is not None:
            scores = scores.masked_fill(bias.isneginf(), -torch.inf)
    there = ~scores[0, :1].isneginf().any(0)
    log_p = scores.log_softmax(-1)
    picked = -log_p.gather(-1, labels[counted].expand(len(hidden), -1)[..., None]).squeeze(-1)
    even = -log_p[..., there].mean(-1)
    task = (1 - settings.smoothing) * picked + (
        settings.smoothing * even if settings.smoothing else 0
    )
    pairs = list(combinations(range(len(hidden)), 2))
    apart = [_apart(scores[a][:, there], scores[b][:, there], settings) for a, b in pairs]
    agreement = sum(apart) / len(pairs) if pairs else task.sum() * 0
    return HeadSums(task.sum(-1), torch.as_tensor(agreement), int(counted.sum()))


def _apart(a: Tensor, b: Tensor, settings: HeadSettings) -> Tensor:
    if settings.distance == "squared":
        return (a - b).square().mean(-1).sum()
    log_p, log_q = a.log_softmax(-1), b.log_softmax(-1)
    p, q = log_p.exp(), log_q.exp()
    if settings.distance == "jensen_shannon":
        log_m = ((p + q) / 2).log()
        return ((p * (log_p - log_m) + q * (log_q - log_m)) / 2).sum()
    return ((p - q) * (log_p - log_q)).sum() / 2
