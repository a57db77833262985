"""Some items at a time: what was made for them is made again in the backward pass."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from dropsmith.kernels.adaptive_softmax.reference import adaptive_log_softmax, of_common
from dropsmith.kernels.agreeing_head import HeadSettings, HeadSums, agreeing_scores


def agreeing_bands(
    states: Sequence[Tensor],
    tables: Sequence[Tensor],
    clusters: Tensor,
    labels: Tensor,
    settings: HeadSettings,
) -> HeadSums:
    """See `dropsmith.kernels.adaptive_softmax.agreeing_bands`."""
    rows = (labels != settings.ignore_index).nonzero().squeeze(-1)
    views, bands = len(states[0]), len(states)
    alone = views == 1 and not settings.smoothing
    some = partial(_one_view if alone else _several_views, bands, settings)
    size = max(1, settings.items // views)
    parts = [labels[rows].split(size), *(state[:, rows].split(size, 1) for state in states)]
    wide = torch.promote_types(states[0].dtype, torch.float32)
    task = torch.zeros(views, dtype=wide, device=labels.device)
    agreement = torch.zeros((), dtype=wide, device=labels.device)
    for part in zip(*parts, strict=True):
        own, apart = _again(some, *part, *tables, clusters)
        task, agreement = task + own, agreement + apart
    return HeadSums(task, agreement, len(rows))


def _again(some: Callable[..., tuple[Tensor, Tensor]], *given: Tensor) -> tuple[Tensor, Tensor]:
    if not torch.is_grad_enabled():
        return some(*given)
    # Nothing in it is drawn.
    return checkpoint(some, *given, use_reentrant=False, preserve_rng_state=False)  # pyright: ignore


def _several_views(
    bands: int, settings: HeadSettings, labels: Tensor, *given: Tensor
) -> tuple[Tensor, Tensor]:
    states, (*tables, clusters) = given[:bands], given[bands:]
    sums = agreeing_scores(adaptive_log_softmax(states, tables, clusters), labels, settings)
    return sums.task, sums.agreement


def _one_view(
    bands: int, settings: HeadSettings, labels: Tensor, *given: Tensor
) -> tuple[Tensor, Tensor]:
    states, (first, *rare, clusters) = [one[0] for one in given[:bands]], given[bands:]
    common = of_common(states[0], first, clusters)
    place, found, start = labels, common.new_zeros(len(labels)), len(first)
    for band, (state, table) in enumerate(zip(states[1:], rare, strict=True)):
        inside = (labels >= start) & (labels < start + len(table))
        place, rows = place.where(~inside, len(first) + band), inside.nonzero().squeeze(-1)
        own = F.linear(state[rows], table).log_softmax(-1, dtype=common.dtype)
        picked = own.gather(-1, (labels[rows] - start).unsqueeze(-1)).squeeze(-1)
        found, start = found.index_add(0, rows, picked), start + len(table)
    found = found + common.gather(-1, place.unsqueeze(-1)).squeeze(-1)
    return -found.sum().unsqueeze(0), common.new_zeros(())
