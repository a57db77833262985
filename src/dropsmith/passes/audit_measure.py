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
        patterns: what each view was multiplied by, rounded.
        whole: of how many rows of the batch nothing was changed, and how many there were; none
            where rows cannot be told.
        uncut: whether it holds rows of several views and is not a part for each, such as tokens
            that were picked out of the batch.
    """

    valid: int
    dropped: int
    changed: int
    patterns: tuple[Tensor, ...]
    whole: tuple[int, int] = (0, 0)
    uncut: bool = False

    @classmethod
    def of(
        cls, before: Tensor, after: Tensor, axes: tuple[str, ...] = (), stacked: int | None = None
    ) -> "Draw":
        """Compare what a site was given and returned; `stacked` is the rows of a stacked batch."""
        before, after = before.detach(), after.detach()
        limits = torch.finfo(before.dtype)
        valid = (before.abs() > limits.tiny) & torch.isfinite(before)
        ratio = torch.where(valid, after / torch.where(valid, before, 1), 0).float()
        # A scale of 1 may be off by a rounding; in half precision that is nearly a percent.
        changed = valid & ((ratio - 1).abs() > max(1e-3, 8 * limits.eps))
        gone = valid & (after == _in_place_of_dropped(before, after, changed))
        dim = None if stacked is None else _batch_dim(before.shape, axes, stacked)
        parts = ratio.chunk(2, dim) if dim is not None else (ratio,)
        counts = int(valid.sum()), int(gone.sum()), int(changed.sum())
        patterns = tuple((part * 64).round() for part in parts)
        uncut = stacked is not None and dim is None and "batch" in axes
        return cls(*counts, patterns, _whole_rows(valid, changed, axes), uncut)


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


def _batch_dim(sizes: Sequence[int], axes: tuple[str, ...], rows: int) -> int | None:
    """The dimension that counts a stacked batch's rows, with or without heads folded in."""
    if "batch" in axes and len(axes) == len(sizes):
        dims = [axes.index("batch")]
    else:
        dims = [dim for dim, size in enumerate(sizes) if size == rows] or [0]
    return next((dim for dim in dims if sizes and sizes[dim] % rows == 0), None)


def masks_differ(draws: Sequence[Draw]) -> bool | None:
    """Whether two views were dropped differently; None where it cannot be told."""
    if sum(draw.valid for draw in draws) < FEW and any(draw.changed for draw in draws):
        return None
    pairs = [draw.patterns for draw in draws if len(draw.patterns) == 2]
    if not pairs:
        # One draw for each looped view: the first half of the calls against the second.
        first, second = draws[: len(draws) // 2], draws[len(draws) // 2 :]
        pairs = [(a.patterns[0], b.patterns[0]) for a, b in zip(first, second, strict=False)]
    if not pairs and any(draw.uncut and draw.changed for draw in draws):
        return None
    return any(not torch.equal(a, b) for a, b in pairs)
