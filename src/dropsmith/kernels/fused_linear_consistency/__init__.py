"""From hidden states to cross-entropy and the agreement of views, without the scores in between."""

from torch import Tensor

from dropsmith.kernels.fused_linear_consistency.chunked import fused_linear_consistency as _chunked
from dropsmith.kernels.fused_linear_consistency.from_scores import (
    consistency_from_scores as _from_scores,
)
from dropsmith.kernels.fused_linear_consistency.settings import (
    Distance,
    HeadSettings,
    HeadSums,
    Mix,
    Triton,
)

__all__ = [
    "Distance",
    "HeadSettings",
    "HeadSums",
    "Mix",
    "Triton",
    "consistency_from_scores",
    "fused_linear_consistency",
]


def fused_linear_consistency(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    labels: Tensor,
    settings: HeadSettings,
    mix: Mix,
    kernel: Triton | None = None,
) -> HeadSums:
    """Sums over items of each view's cross-entropy and of how far the views are apart.

    No buffer of `[items, classes]` is ever held: scores are made for some items at a time, and
    their gradient is made from them in closed form while they are there. It is made for one mix of
    the sums; if backward asks for another, the work is done again, exactly.

    Args:
        hidden: what the head is given, `[views, items, width]`.
        weight: of the head, `[classes, width]`; may be an embedding that is shared.
        bias: of the head, `[classes]`, or None; −inf takes a class away.
        labels: the class of each item, `[items]`.
        settings: smoothing, which items count, the cap of the scores, the distance.
        mix: the multiples of the sums that backward will most likely ask for.
        kernel: Triton's, on a GPU only. None takes it there, where it has what is asked for, and
            elsewhere torch's own operations.

    Raises:
        KernelError: Triton's kernel cannot run on these tensors.
        MissingExtra: Triton is not installed.
    """
    return _chunked(hidden, weight, bias, labels, settings, mix, kernel)


def consistency_from_scores(scores: Tensor, labels: Tensor, settings: HeadSettings) -> HeadSums:
    """The same sums from scores, where something else than a plain head has made them.

    Nothing as large as the scores is kept for backward, which makes one buffer of their size, the
    gradient. A class at −inf in all views is not there, item by item; in one view only it makes
    the agreement +inf, which has no gradient, and leaves a Jensen-Shannon divergence finite.

    Args:
        scores: `[views, items, classes]`, before any cap.
        labels: the class of each item, `[items]`.
        settings: smoothing, which items count, the cap of the scores, the distance.
    """
    return _from_scores(scores, labels, settings)
