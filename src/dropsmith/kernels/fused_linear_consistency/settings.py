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
    """The factor of each sum in the loss.

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
        item_count: how many items count.
    """

    task: Tensor
    agreement: Tensor
    item_count: int


@dataclass(frozen=True, kw_only=True)
class Triton:
    """Make loss and gradient from some items' scores in Triton, on a GPU.

    The products are torch's. One or two views, symmetric KL or squared distance.

    >>> Triton(classes=2048)
    Triton(items=2048, rows=1, classes=2048, warps=8)

    Args:
        items: how many are worked on at a time, views counted: more than on a CPU, for each time
            the whole gradient of the weight is read and written.
        rows: items that one program works on, a power of two.
        classes: scores of each that it looks at at a time, a power of two from 16 up.
        warps: of 32 threads.
    """

    items: int = 2048
    rows: int = 1
    classes: int = 4096
    warps: int = 8

    def __post_init__(self) -> None:
        if self.items < 1:
            raise KernelError(f"items={self.items} is none\n  type a number from 1 up")
        for name, minimum in (("rows", 1), ("classes", 16)):
            size = getattr(self, name)
            if size < minimum or size & (size - 1):
                raise KernelError(
                    f"{name}={size} is no size of a tile\n  type a power of two from {minimum} up"
                )
