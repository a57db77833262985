"""What noise did to a tensor, as counts and as what it multiplied each view by."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FEW = 16
"""Below this many elements two independent masks agree by chance too often to tell."""


@dataclass(frozen=True)
class Draw:
    """One draw, kept as counts and one pattern for each view it holds.

    Args:
        valid: how many elements could tell: what was zero already says nothing.
        dropped: how many of them no longer depend on what they were.
        changed: how many of them are not what they were.
        patterns: what each view was multiplied by, rounded, not-a-number where that says nothing;
            one for a draw that all views share, none where the rows of a view cannot be told.
        whole: of how many rows of the batch nothing was changed, and how many there were; none
            where rows cannot be told.
    """

    valid: int
    dropped: int
    changed: int
    patterns: tuple[Tensor, ...]
    whole: tuple[int, int] = (0, 0)

    @classmethod
    def of(
        cls, before: Tensor, after: Tensor, axes: tuple[str, ...] = (), stacked: int | None = None
    ) -> "Draw":
        """Compare what a site was given and returned; `stacked` is the rows of a stacked batch.

        It is None where a draw belongs to one view, or to all of them alike.
        """
        before, after = before.detach(), after.detach()
        limits = torch.finfo(before.dtype)
        valid = (before.abs() > limits.tiny) & torch.isfinite(before)
        ratio = torch.where(valid, after / torch.where(valid, before, 1), 0).float()
        # A scale of 1 may be off by a rounding; in half precision that is nearly a percent.
        changed = valid & ((ratio - 1).abs() > max(1e-3, 8 * limits.eps))
        gone = valid & (after == _in_place_of_dropped(before, after, changed))
        parts = _of_views(torch.where(valid, ratio, torch.nan), axes, stacked)
        counts = int(valid.sum()), int(gone.sum()), int(changed.sum())
        patterns = tuple((part * 64).round() for part in parts)
        return cls(*counts, patterns, _whole_rows(valid, changed, axes))


def _in_place_of_dropped(before: Tensor, after: Tensor, changed: Tensor) -> Tensor:
    """Zero; or the one other value that many different elements became, as in alpha dropout."""
    zero = after.new_zeros(())
    if not bool(changed.any()) or bool((changed & (after == 0)).any()):
        return zero
    common = after[changed].mode().values
    became = before[changed & (after == common)]
    return common if became.unique().numel() > 1 else zero


def _whole_rows(valid: Tensor, changed: Tensor, axes: tuple[str, ...]) -> tuple[int, int]:
    if "batch" not in axes or len(axes) != valid.ndim:
        return 0, 0
    rest = [dim for dim, name in enumerate(axes) if name != "batch"]
    seen = valid.sum(rest) > 0
    return int((seen & (changed.sum(rest) == 0)).sum()), int(seen.sum())


def _of_views(ratio: Tensor, axes: tuple[str, ...], stacked: int | None) -> tuple[Tensor, ...]:
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


def masks_differ(draws: Sequence[Draw]) -> bool | None:
    """Whether two views were dropped differently; None where that cannot be told.

    Too few elements may have been changed, or the rows of each view not be known.
    """
    if sum(draw.valid for draw in draws) < FEW and any(draw.changed for draw in draws):
        return None
    pairs = [draw.patterns for draw in draws if len(draw.patterns) == 2]
    if not pairs and not all(draw.patterns for draw in draws):
        return None if any(draw.changed for draw in draws) else False
    if not pairs:
        # One draw for each looped view: the first half of the calls against the second.
        first, second = draws[: len(draws) // 2], draws[len(draws) // 2 :]
        pairs = [(a.patterns[0], b.patterns[0]) for a, b in zip(first, second, strict=False)]
    return any(_differ(a, b) for a, b in pairs)


def _differ(first: Tensor, second: Tensor) -> bool:
    """Whether two patterns differ where both say something."""
    if first.shape != second.shape:
        return True
    known = ~(first.isnan() | second.isnan())
    return bool((known & (first != second)).any())
