"""Measurements of an audit: counts of changed elements, and the masks of each view."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MIN_ELEMENTS = 16
"""Of fewer elements two independent masks agree by chance too often to tell them apart."""

MAX_CHANCE = 1e-3
"""Masks that agree are taken for one mask where independent ones would agree less often."""


@dataclass(frozen=True)
class Draw:
    """One draw, kept as counts and one pattern for each view it holds.

    Args:
        valid_count: how many elements can show noise: one that was zero already cannot.
        drop_count: how many of them no longer depend on what they were.
        change_count: how many of them are not what they were.
        patterns: the factors of each view, rounded, not-a-number where an element shows nothing;
            one for a draw that all views share, none where the rows of a view are not known.
        unchanged_rows: in how many rows of the batch nothing was changed, and how many rows there
            were; zeros where rows are not known.
        view: the number of the view that it belongs to; None for a draw that holds both.
    """

    valid_count: int
    drop_count: int
    change_count: int
    patterns: tuple[Tensor, ...]
    unchanged_rows: tuple[int, int] = (0, 0)
    view: int | None = None

    @classmethod
    def of(
        cls,
        before: Tensor,
        after: Tensor,
        axes: tuple[str, ...] = (),
        stacked: int | None = None,
        view: int | None = None,
    ) -> "Draw":
        """Compare what a site was given and returned.

        Args:
            before: what it was given.
            after: what it returned.
            axes: the names of their dimensions.
            stacked: the rows of a stacked batch; None for a draw of one view, or of all alike.
            view: the number of the view, where views are made one after the other.
        """
        before, after = before.detach(), after.detach()
        limits = torch.finfo(before.dtype)
        valid = (before.abs() > limits.tiny) & torch.isfinite(before)
        ratio = torch.where(valid, after / torch.where(valid, before, 1), 0).float()
        # A scale of 1 may be off by a rounding; in half precision that is nearly a percent.
        change_mask = valid & ((ratio - 1).abs() > max(1e-3, 8 * limits.eps))
        drop_mask = valid & (after == _drop_value(before, after, change_mask))
        parts = _cut_by_view(torch.where(valid, ratio, torch.nan), axes, stacked)
        counts = int(valid.sum()), int(drop_mask.sum()), int(change_mask.sum())
        patterns = tuple((part * 64).round() for part in parts)
        return cls(*counts, patterns, _unchanged_rows(valid, change_mask, axes), view)


def _drop_value(before: Tensor, after: Tensor, change_mask: Tensor) -> Tensor:
    """The value of dropped elements: zero, or the one that alpha dropout puts in their place.

    The latter is a value that many different elements have become.
    """
    zero = after.new_zeros(())
    if not bool(change_mask.any()) or bool((change_mask & (after == 0)).any()):
        return zero
    common = after[change_mask].mode().values
    sources = before[change_mask & (after == common)]
    return common if sources.unique().numel() > 1 else zero


def _unchanged_rows(valid: Tensor, change_mask: Tensor, axes: tuple[str, ...]) -> tuple[int, int]:
    if "batch" not in axes or len(axes) != valid.ndim:
        return 0, 0
    rest = [dim for dim, name in enumerate(axes) if name != "batch"]
    valid_rows = valid.sum(rest) > 0
    return int((valid_rows & (change_mask.sum(rest) == 0)).sum()), int(valid_rows.sum())


def _cut_by_view(ratio: Tensor, axes: tuple[str, ...], stacked: int | None) -> tuple[Tensor, ...]:
    if stacked is None:
        return (ratio,)
    dim = _batch_dim(ratio.shape, axes, stacked)
    return () if dim is None else ratio.chunk(2, dim)


def _batch_dim(sizes: Sequence[int], axes: tuple[str, ...], rows: int) -> int | None:
    """The dimension that counts a stacked batch's rows, with or without heads folded in."""
    if "batch" in axes and len(axes) == len(sizes):
        dims = [axes.index("batch")]
    else:
        dims = [dim for dim, size in enumerate(sizes) if size == rows] or [0]
    return next((dim for dim in dims if sizes and sizes[dim] % rows == 0), None)


def masks_differ(draws: Sequence[Draw], *, shared: bool = False) -> bool | None:
    """Say whether noise dropped different elements of two views; None where nothing shows it.

    Too few elements may have changed, it is not known which rows belong to which view, or the site
    ran in one of the views only. Masks that agree may also do so by chance: stochastic depth draws
    once for a row, and a few rows are often all kept.

    Args:
        draws: of one site.
        shared: whether a rule says that the views have one mask, so that chance is no question.
    """
    if sum(draw.valid_count for draw in draws) < MIN_ELEMENTS and any(
        draw.change_count for draw in draws
    ):
        return None
    pairs = [draw.patterns for draw in draws if len(draw.patterns) == 2]
    if ran_once(draws) or (not pairs and not all(draw.patterns for draw in draws)):
        return None if any(draw.change_count for draw in draws) else False
    if not pairs:
        # Views that were looped are compared call by call.
        first, second = ([draw for draw in draws if draw.view == view] for view in (0, 1))
        pairs = [(a.patterns[0], b.patterns[0]) for a, b in zip(first, second, strict=False)]
    if any(_differ(a, b) for a, b in pairs):
        return True
    is_noisy = not shared and any(draw.change_count for draw in draws)
    chance = math.prod(_chance_of_agreeing(first) for first, _ in pairs)
    return None if is_noisy and chance > MAX_CHANCE else False


def ran_once(draws: Sequence[Draw]) -> bool:
    """Say whether a site that ran did so in one of two looped views only."""
    return bool(draws) and len({draw.view for draw in draws} - {None}) == 1


def _chance_of_agreeing(pattern: Tensor) -> float:
    """How often another pattern that is drawn alike, but independently, would be the same.

    Its draws are counted where they show: a dimension along which the pattern is constant has one.
    """
    for dim in range(pattern.ndim):
        least = pattern.nan_to_num(math.inf).amin(dim, keepdim=True)
        most = pattern.nan_to_num(-math.inf).amax(dim, keepdim=True)
        if bool((least >= most).all()):
            pattern = torch.where(most.isinf(), torch.nan, most)
    values = pattern[~pattern.isnan()]
    shares = values.unique(return_counts=True)[1] / max(values.numel(), 1)
    return float((shares**2).sum() ** values.numel())


def _differ(first: Tensor, second: Tensor) -> bool:
    """Say whether two patterns differ in an element that shows noise in both."""
    if first.shape != second.shape:
        return True
    comparable = ~(first.isnan() | second.isnan())
    return bool((comparable & (first != second)).any())
