"""The settings of a fused head and the sums that it returns, as values."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

Distance = Literal["symmetric_kl", "jensen_shannon", "squared"]


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """What is computed from the scores.

    Args:
        distance: half of KL(p‖q) + KL(q‖p) (R-Drop), the Jensen-Shannon divergence, or the mean
            over classes of the squared difference of scores (Fraternal Dropout). With more than
            two views, the mean over all pairs.
        smoothing: the share of the target that is spread evenly over all classes there are.
        ignore_index: the label of items that are not counted.
        cap: scores are squeezed to `cap * tanh(score / cap)`; None leaves them as they are.
        items: how many items are worked on at a time, views counted.
    """

    distance: Distance = "symmetric_kl"
    smoothing: float = 0.0
    ignore_index: int = -100
    cap: float | None = None
    items: int = 512


@dataclass(frozen=True)
class Mix:
    """What each sum is multiplied with in the loss.

    Args:
        task: for the cross-entropy of each view.
        agreement: for the distance between views.
    """

    task: tuple[float, ...]
    agreement: float

    def times(self, factor: float) -> "Mix":
        """Every multiple times a number."""
        return Mix(tuple(weight * factor for weight in self.task), self.agreement * factor)


class HeadSums(NamedTuple):
    """Sums over the items that count.

    Args:
        task: cross-entropy in nats, `[views]`.
        agreement: distance between the views; zero for one view.
        counted: how many items count.
    """

    task: Tensor
    agreement: Tensor
    counted: int
