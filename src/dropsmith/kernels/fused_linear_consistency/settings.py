"""The settings of a fused head and of its Triton kernel, and the sums that it returns."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor

from dropsmith.errors import KernelError

Distance = Literal["symmetric_kl", "jensen_shannon", "squared"]


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """The loss and the distance that are computed from scores.

    Args:
        distance: `symmetric_kl`, half of KL(p‖q) + KL(q‖p) (R-Drop); `jensen_shannon`, the
            Jensen-Shannon divergence; or `squared`, the mean over classes of the squared
            difference of scores (Fraternal Dropout). With more than two views, the mean over all
            pairs.
        smoothing: the share of the target that is spread evenly over all classes.
        ignore_index: the label of items that are not counted.
        cap: scores are capped to `cap * tanh(score / cap)`; None for no cap.
        items: the number of items, times views, in a chunk.
    """

    distance: Distance = "symmetric_kl"
    smoothing: float = 0.0
    ignore_index: int = -100
    cap: float | None = None
    items: int = 512


@dataclass(frozen=True)
class Mix:
    """The factor of each sum in the loss.

    Args:
        task: for the cross-entropy of each view.
        consistency: for the distance between views.
    """

    task: tuple[float, ...]
    consistency: float

    def times(self, factor: float) -> "Mix":
        """Every factor times a number."""
        return Mix(tuple(weight * factor for weight in self.task), self.consistency * factor)


class HeadSums(NamedTuple):
    """Sums over the items that are counted.

    Args:
        task: cross-entropy in nats, `[views]`.
        consistency: distance between the views; zero for one view.
        item_count: the number of items.
    """

    task: Tensor
    consistency: Tensor
    item_count: int


@dataclass(frozen=True, kw_only=True)
class Triton:
    """Compute loss and gradient of the scores in Triton, on a GPU; products are torch's own.

    It supports one or two views, and the symmetric KL or the squared distance.

    >>> Triton(classes=2048)
    Triton(items=2048, rows=1, classes=2048, warps=8)

    Args:
        items: the number of items, times views, in a chunk. It is larger than on a CPU, since each
            chunk reads and writes the whole gradient of the weight.
        rows: items of one program, a power of two.
        classes: scores of an item that are loaded at a time, a power of two from 16 up.
        warps: groups of 32 threads.
    """

    items: int = 2048
    rows: int = 1
    classes: int = 4096
    warps: int = 8

    def __post_init__(self) -> None:
        if self.items < 1:
            raise KernelError(f"items={self.items} is less than 1\n  give a number from 1 up")
        for name, minimum in (("rows", 1), ("classes", 16)):
            size = getattr(self, name)
            if size < minimum or size & (size - 1):
                raise KernelError(
                    f"{name}={size} is no size of a tile\n  give a power of two from {minimum} up"
                )
