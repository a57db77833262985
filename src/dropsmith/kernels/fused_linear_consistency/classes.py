"""The classes of an item; those at −inf are missing."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Classes:
    """The classes of each view and item.

    Args:
        count: the number of scores of an item.
        missing: True where a score is −inf, `[views or 1, items or 1, classes]`; None if nowhere.
    """

    count: int
    missing: Tensor | None

    @classmethod
    def of_head(cls, weight: Tensor, bias: Tensor | None) -> "Classes":
        """The classes whose bias is not −inf, equal for all items."""
        missing = bias.isneginf() if bias is not None else None
        any_missing = missing is not None and bool(missing.any())
        return cls(
            len(weight), missing.view(1, 1, -1) if missing is not None and any_missing else None
        )

    @classmethod
    def of_scores(cls, scores: Tensor) -> "Classes":
        """The classes of each item, from scores `[views, items, classes]`."""
        any_missing = scores.numel() > 0 and bool(scores.amin() == -torch.inf)
        return cls(scores.shape[-1], scores.isneginf() if any_missing else None)

    def missing_in(self, view: int) -> Tensor | None:
        """The mask of classes that a view lacks, `[items or 1, classes]`; None if it has all."""
        return None if self.missing is None else self.missing[view if len(self.missing) > 1 else 0]

    def differ(self, pair: tuple[int, int]) -> bool:
        """Say whether some item has a class in one view of a pair only."""
        if self.missing is None or len(self.missing) == 1:
            return False
        return not torch.equal(self.missing[pair[0]], self.missing[pair[1]])

    def remaining(self, missing: Tensor | None) -> Tensor | int:
        """The number of classes that are not missing, `[items or 1, 1]`."""
        return self.count if missing is None else (self.count - missing.sum(-1, True)).clamp(min=1)


def zero_missing(values: Tensor, missing: Tensor | None) -> Tensor:
    """The values, with zeros in place of those of missing classes."""
    return values if missing is None else values.masked_fill_(missing, 0)
