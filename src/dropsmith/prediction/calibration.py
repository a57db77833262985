"""Calibration: of the items that a model calls 70 % sure, are 70 % right?"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.errors import ViewError
from dropsmith.instances import check_type
from dropsmith.numbers import LARGEST_SEED, check_whole

_MOST_BINS = 1_000_000
_ROUNDING = 1e-2
"""More than rounding to a half precision takes a sum of probabilities from one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Confidence against accuracy in bins of equal width, and what they sum up to.

    Args:
        edges: of the bins, `[bins + 1]`, from 0 to 1.
        counts: how many items fell in each bin.
        confidence: their mean confidence; 0 in an empty bin.
        accuracy: the share of them that was right; 0 in an empty bin.
        error: expected calibration error (Naeini et al. 2015): the mean over items of the distance
            between confidence and accuracy of the bin they are in.
        nll: mean negative log-likelihood, in nats.
        brier: mean squared distance to the truth (Brier 1950), summed over classes.
    """

    edges: Tensor
    counts: Tensor
    confidence: Tensor
    accuracy: Tensor
    error: float
    nll: float
    brier: float


def reliability(
    probabilities: Tensor,
    labels: Tensor,
    bins: int = 15,
    *,
    ignore: int = -100,
    class_axis: int | None = None,
) -> Reliability:
    """Judge by the labels how far probabilities can be trusted.

    >>> sure = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    >>> result = reliability(sure, torch.tensor([0, 1, 1, 0]), bins=1)
    >>> round(result.error, 6), result.accuracy.item()
    (0.0, 0.75)

    Args:
        probabilities: `[..., classes]` or `[batch, classes, ...]`, such as `prediction.mean`.
        labels: the true class of each item, `[...]`; or, for `kind="multi_label"`, zeros and ones
            of the shape of `probabilities`: every label is then an item with two outcomes.
        bins: how many, between 0 and 1.
        ignore: items with this label, such as padding, do not count.
        class_axis: the dimension of the classes, such as `prediction.class_axis`; by default the
            one along which probabilities sum to 1 and that labels do not have.
    """
    for name, value in (("probabilities", probabilities), ("labels", labels)):
        check_type(name, value, Tensor, "a tensor")
    check_whole("bins", bins, 1, ViewError, _MOST_BINS)
    check_whole("ignore", ignore, -LARGEST_SEED, ViewError, LARGEST_SEED)
    if class_axis is not None:
        last = probabilities.ndim - 1
        check_whole("class_axis", class_axis, -last - 1, ViewError, last)
    if class_axis is None:
        class_axis = _class_axis(probabilities, labels)
    if labels.shape != probabilities.shape:
        probabilities = probabilities.movedim(class_axis, -1)
    likely, truth = _items(probabilities.detach(), labels, ignore)
    sure, guess = likely.max(-1)
    right = (guess == truth).to(likely.dtype)
    edges = torch.linspace(0, 1, bins + 1, dtype=likely.dtype, device=likely.device)
    # A bin holds its upper edge, so that a confidence of one falls in the last.
    place = torch.bucketize(sure, edges[1:-1])
    counts = torch.bincount(place, minlength=bins)
    divisor = counts.clamp(min=1).to(likely.dtype)
    confidence = torch.bincount(place, sure, bins) / divisor
    accuracy = torch.bincount(place, right, bins) / divisor
    truths = F.one_hot(truth, likely.shape[-1])
    of_truth = likely.gather(-1, truth[:, None]).squeeze(-1)
    tiny = torch.finfo(likely.dtype).tiny
    return Reliability(
        edges=edges,
        counts=counts,
        confidence=confidence,
        accuracy=accuracy,
        error=float((counts * (confidence - accuracy).abs()).sum() / len(truth)),
        nll=float(-of_truth.clamp(min=tiny).log().mean()),
        brier=float((likely - truths).square().sum(-1).mean()),
    )


def _class_axis(probabilities: Tensor, labels: Tensor) -> int:
    """The dimension that labels do not have, the last where labels have none of their own."""
    shape = probabilities.shape
    fitting = [
        axis for axis in (len(shape) - 1, 1) if (*shape[:axis], *shape[axis + 1 :]) == labels.shape
    ]
    if len(set(fitting)) < 2:
        return fitting[0] if fitting else -1
    off = [float((probabilities.sum(axis) - 1).abs().max()) for axis in fitting]
    if (off[0] < _ROUNDING) != (off[1] < _ROUNDING):
        return fitting[0] if off[0] < _ROUNDING else fitting[1]
    raise ViewError(
        f"cannot tell which dimension of probabilities of shape {tuple(shape)} has the classes\n"
        "  say it: reliability(..., class_axis=1) or class_axis=-1"
    )


def _items(probabilities: Tensor, labels: Tensor, ignore: int) -> tuple[Tensor, Tensor]:
    """Probabilities `[items, classes]` in at least float32 beside true classes `[items]`."""
    if labels.shape == probabilities.shape:
        probabilities = torch.stack([1 - probabilities, probabilities], -1)
    if labels.shape != probabilities.shape[:-1]:
        raise ViewError(
            f"labels of shape {tuple(labels.shape)} do not fit probabilities of shape "
            f"{tuple(probabilities.shape)}\n  give one class for each item, or one 0 or 1 for each "
            "probability"
        )
    has_label = labels != ignore
    if not bool(has_label.any()):
        raise ViewError(f"no item is left to judge: every label is {ignore}, which is ignored")
    wide = torch.float64 if probabilities.dtype == torch.float64 else torch.float32
    return probabilities[has_label].to(wide), labels[has_label].long()
