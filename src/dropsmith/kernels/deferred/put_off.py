"""What all scores that are put off have in common, whatever head they are of."""

from torch import Tensor

from dropsmith.kernels.deferred.deferred import Deferred


class PutOffScores(Deferred):
    """Scores of classes that are put off, with what they will be made of at hand."""

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The hidden states that they will be made of, `[..., width]`."""
        raise NotImplementedError

    def cut(self, sizes: list[int], dim: int) -> "list[PutOffScores]":
        """Parts along a leading dimension; looking at one of them does not make the others."""
        raise NotImplementedError

    def alike(self, other: "PutOffScores") -> bool:
        """Whether others are of the same head, unchanged in between, and for as many items."""
        raise NotImplementedError

    def cross_entropy(self, labels: Tensor, ignore_index: int) -> Tensor | None:
        """The sum over items that count, where that takes less than all scores; else None."""
        return None
