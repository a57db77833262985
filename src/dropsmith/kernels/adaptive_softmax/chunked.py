"""An adaptive softmax and its losses, some items at a time and again in backward."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dropsmith.kernels.adaptive_softmax.reference import adaptive_log_softmax, common_log_softmax
from dropsmith.kernels.fused_linear_consistency import (
    HeadSettings,
    HeadSums,
    consistency_from_scores,
)


def adaptive_softmax_consistency(
    states: Sequence[Tensor],
    tables: Sequence[Tensor],
    clusters: Tensor,
    labels: Tensor,
    settings: HeadSettings,
) -> HeadSums:
    """See `dropsmith.kernels.adaptive_softmax.adaptive_softmax_consistency`."""
    rows = (labels != settings.ignore_index).nonzero().squeeze(-1)
    views, bands = len(states[0]), len(states)
    single = views == 1 and not settings.smoothing
    losses = partial(_one_view if single else _several_views, bands, settings)
    size = max(1, settings.items // views)
    parts = [labels[rows].split(size), *(state[:, rows].split(size, 1) for state in states)]
    wide = torch.promote_types(states[0].dtype, torch.float32)
    task = torch.zeros(views, dtype=wide, device=labels.device)
    consistency = torch.zeros((), dtype=wide, device=labels.device)
    for part in zip(*parts, strict=True):
        band_log_p, distance = _run_checkpointed(losses, *part, *tables, clusters)
        task, consistency = task + band_log_p, consistency + distance
    return HeadSums(task, consistency, len(rows))


def _run_checkpointed(
    losses: Callable[..., tuple[Tensor, Tensor]], *inputs: Tensor
) -> tuple[Tensor, Tensor]:
    if not torch.is_grad_enabled():
        return losses(*inputs)
    # No part of it is random.
    return checkpoint(losses, *inputs, use_reentrant=False, preserve_rng_state=False)  # pyright: ignore


def _several_views(
    bands: int, settings: HeadSettings, labels: Tensor, *inputs: Tensor
) -> tuple[Tensor, Tensor]:
    states, (*tables, clusters) = inputs[:bands], inputs[bands:]
    sums = consistency_from_scores(adaptive_log_softmax(states, tables, clusters), labels, settings)
    return sums.task, sums.consistency


def _one_view(
    bands: int, settings: HeadSettings, labels: Tensor, *inputs: Tensor
) -> tuple[Tensor, Tensor]:
    states, (first, *rare, clusters) = (
        [band_views[0] for band_views in inputs[:bands]],
        inputs[bands:],
    )
    common = common_log_softmax(states[0], first, clusters)
    position, log_p, start = labels, common.new_zeros(len(labels)), len(first)
    for band, (state, table) in enumerate(zip(states[1:], rare, strict=True)):
        inside = (labels >= start) & (labels < start + len(table))
        position, rows = position.where(~inside, len(first) + band), inside.nonzero().squeeze(-1)
        band_log_p = F.linear(state[rows], table).log_softmax(-1, dtype=common.dtype)
        label_log_p = band_log_p.gather(-1, (labels[rows] - start).unsqueeze(-1)).squeeze(-1)
        log_p, start = log_p.index_add(0, rows, label_log_p), start + len(table)
    log_p = log_p + common.gather(-1, position.unsqueeze(-1)).squeeze(-1)
    return -log_p.sum().unsqueeze(0), common.new_zeros(())
