"""Which classes an item has: those at −inf are not there."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Classes:
    """Which classes there are, by view and item.

    Args:
        count: how many scores an item has.
        gone: True where a score is −inf, `[views or 1, items or 1, classes]`; None if nowhere.
    """

    count: int
    gone: Tensor | None

    @classmethod
    def of_head(cls, weight: Tensor, bias: Tensor | None) -> "Classes":
        """Of all items alike: those whose bias is not −inf."""
        gone = bias.isneginf() if bias is not None else None
        some = gone is not None and bool(gone.any())
        return cls(len(weight), gone.view(1, 1, -1) if gone is not None and some else None)

    @classmethod
    def of_scores(cls, scores: Tensor) -> "Classes":
        """Of each item by itself, from scores `[views, items, classes]`."""
        some = scores.numel() > 0 and bool(scores.amin() == -torch.inf)
        return cls(scores.shape[-1], scores.isneginf() if some else None)

    def gone_in(self, view: int) -> Tensor | None:
        """Where a view has no class, `[items or 1, classes]`."""
        return None if self.gone is None else self.gone[view if len(self.gone) > 1 else 0]

    def alone(self, pair: tuple[int, int]) -> bool:
        """Whether some item has a class in one view of a pair only."""
        if self.gone is None or len(self.gone) == 1:
            return False
        return not torch.equal(self.gone[pair[0]], self.gone[pair[1]])

    def there(self, gone: Tensor | None) -> Tensor | int:
        """How many classes are left, `[items or 1, 1]`."""
        return self.count if gone is None else (self.count - gone.sum(-1, True)).clamp(min=1)


def emptied(values: Tensor, gone: Tensor | None) -> Tensor:
    """The values with zeros, in place, for classes that are gone."""
    return values if gone is None else values.masked_fill_(gone, 0)
