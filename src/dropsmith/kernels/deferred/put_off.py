"""What all scores that are put off have in common, whatever head they are of."""

from typing import final

import torch
from torch import Tensor

from dropsmith.kernels.deferred.deferred import Deferred


class PutOffScores(Deferred):
    """Scores of classes that are put off, with what they will be made of at hand."""

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The hidden states that they will be made of, `[..., width]`."""
        raise NotImplementedError

    @final
    def cut(self, sizes: list[int], dim: int) -> "list[PutOffScores]":
        """Parts along a leading dimension; looking at one of them does not make the others.

        Parts of scores without a gradient have none.
        """
        with torch.set_grad_enabled(self.graded and torch.is_grad_enabled()):
            return self._cut(sizes, dim)

    def _cut(self, sizes: list[int], dim: int) -> "list[PutOffScores]":
        """What `cut` returns, of hidden states that are cut."""
        raise NotImplementedError

    def alike(self, other: "PutOffScores") -> bool:
        """Whether others are of the same head, unchanged in between, and for as many items."""
        raise NotImplementedError

    def cross_entropy(self, labels: Tensor, ignore_index: int) -> Tensor | None:
        """The sum over items that count, where that takes less than all scores; else None."""
        return None
