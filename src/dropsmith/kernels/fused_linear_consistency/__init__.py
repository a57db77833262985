"""Cross-entropy and the distance between views from hidden states, without all scores at once."""

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
    """Sums over items of each view's cross-entropy and of the distance between views.

    No buffer of `[items, classes]` is allocated: scores are computed for some items at a time, and
    with them their gradient, in closed form. Forward computes the gradient of one mix of the sums;
    if backward needs another mix, it computes that anew.

    Args:
        hidden: the input of the head, `[views, items, width]`.
        weight: of the head, `[classes, width]`; may be a tied embedding.
        bias: of the head, `[classes]`, or None; −inf removes a class.
        labels: the class of each item, `[items]`.
        settings: smoothing, the ignored label, the cap of the scores, the distance.
        mix: the expected factors of the sums in the loss.
        kernel: the Triton kernel, for GPUs. With None, Triton runs on a GPU if it supports the
            settings, and torch's own operations run elsewhere.

    Raises:
        KernelError: Triton's kernel cannot run on these tensors.
        MissingExtra: Triton is not installed.
    """
    return _chunked(hidden, weight, bias, labels, settings, mix, kernel)


def consistency_from_scores(scores: Tensor, labels: Tensor, settings: HeadSettings) -> HeadSums:
    """The same sums from scores, for heads that are not one linear layer.

    No further buffer as large as the scores is kept for backward, which allocates one, the
    gradient. A class of an item at −inf in all views is left out. A class at −inf in one view only
    makes the distance +inf, without a gradient; a Jensen-Shannon divergence stays finite.

    Args:
        scores: `[views, items, classes]`, before any cap.
        labels: the class of each item, `[items]`.
        settings: smoothing, the ignored label, the cap of the scores, the distance.
    """
    return _from_scores(scores, labels, settings)
