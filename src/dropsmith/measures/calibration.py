"""Calibration: of the items that a model calls 70 % sure, are 70 % right?"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.errors import ViewError
from dropsmith.instances import check_bool, check_word
from dropsmith.measures.items import labelled_items
from dropsmith.numbers import check_whole

_MOST_BINS = 1_000_000

Binning = Literal["width", "count"]
"""Bins of equal width between 0 and 1, or of equally many items."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reliability:
    """Confidence against accuracy in bins of equal width, and what they sum up to.

    Args:
        edges: of the bins, `[bins + 1]`, from 0 to 1.
        counts: the number of items in each bin.
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
    """Compare probabilities with the labels: accuracy against confidence, and calibration error.

    >>> sure = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    >>> result = reliability(sure, torch.tensor([0, 1, 1, 0]), bins=1)
    >>> round(result.error, 6), result.accuracy.item()
    (0.0, 0.75)

    Args:
        probabilities, labels, ignore, class_axis: as in `labelled_items`.
        bins: the number of bins between 0 and 1.
    """
    check_whole("bins", bins, 1, ViewError, _MOST_BINS)
    likely, truth = labelled_items(probabilities, labels, ignore, class_axis)
    sure, guess = likely.max(-1)
    edges = torch.linspace(0, 1, bins + 1, dtype=likely.dtype, device=likely.device)
    counts, confidence, accuracy = _by_bin(sure, guess == truth, _width_bins(sure, edges), bins)
    truths = F.one_hot(truth, likely.shape[-1])
    of_truth = likely.gather(-1, truth[:, None]).squeeze(-1)
    tiny = torch.finfo(likely.dtype).tiny
    return Reliability(
        edges=edges,
        counts=counts,
        confidence=confidence,
        accuracy=accuracy,
        error=_error(counts, confidence, accuracy),
        nll=float(-of_truth.clamp(min=tiny).log().mean()),
        brier=float((likely - truths).square().sum(-1).mean()),
    )


def calibration_error(
    probabilities: Tensor,
    labels: Tensor,
    bins: int = 15,
    *,
    binning: Binning = "width",
    by_class: bool = False,
    ignore: int = -100,
    class_axis: int | None = None,
) -> float:
    """The mean distance between how sure a model is and how often it is right.

    By default this is the expected calibration error of the most probable class (Naeini et al.
    2015), `Reliability.error`. Bins of equally many items make it the adaptive one (Nguyen &
    O'Connor 2015). With `by_class` each class in turn is an outcome that happens or does not, and
    the errors of the classes are averaged (Kull et al. 2019): that sees classes that are never the
    most probable.

    >>> sure = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    >>> round(calibration_error(sure, torch.tensor([0, 0, 1, 0]), 2, binning="count"), 6)
    0.1

    Args:
        probabilities, labels, ignore, class_axis: as in `labelled_items`.
        bins: the number of bins. With `binning="count"` equal probabilities are not kept together.
        binning: `width` for bins of equal width, `count` for bins of equally many items.
        by_class: whether all classes are judged, or the most probable one of each item.
    """
    check_whole("bins", bins, 1, ViewError, _MOST_BINS)
    check_word("binning", binning, get_args(Binning), ViewError)
    check_bool("by_class", by_class)
    likely, truth = labelled_items(probabilities, labels, ignore, class_axis)
    if not by_class:
        sure, guess = likely.max(-1)
        return _binned_error(sure, guess == truth, bins, binning)
    errors = [
        _binned_error(sure, truth == number, bins, binning)
        for number, sure in enumerate(likely.T.contiguous())
    ]
    return sum(errors) / len(errors)


def _binned_error(sure: Tensor, right: Tensor, bins: int, binning: Binning) -> float:
    if binning == "width":
        edges = torch.linspace(0, 1, bins + 1, dtype=sure.dtype, device=sure.device)
        place = _width_bins(sure, edges)
    else:
        order = sure.argsort(stable=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device) * bins // len(order)
    return _error(*_by_bin(sure, right, place, bins))


def _width_bins(sure: Tensor, edges: Tensor) -> Tensor:
    # A bin holds its upper edge, so that a confidence of one falls in the last.
    return torch.bucketize(sure, edges[1:-1])


def _by_bin(sure: Tensor, right: Tensor, place: Tensor, bins: int) -> tuple[Tensor, Tensor, Tensor]:
    counts = torch.bincount(place, minlength=bins)
    divisor = counts.clamp(min=1).to(sure.dtype)
    confidence = torch.bincount(place, sure, bins) / divisor
    accuracy = torch.bincount(place, right.to(sure.dtype), bins) / divisor
    return counts, confidence, accuracy


def _error(counts: Tensor, confidence: Tensor, accuracy: Tensor) -> float:
    return float((counts * (confidence - accuracy).abs()).sum() / counts.sum())
