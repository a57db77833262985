"""Split conformal prediction: sets and intervals that hold the truth as often as was asked."""

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor

from dropsmith.errors import ViewError
from dropsmith.instances import check_type
from dropsmith.measures.items import labelled_items
from dropsmith.numbers import check_number


@dataclass(frozen=True, kw_only=True)
class ConformalSets:
    """Sets of classes that hold the true one with a given chance (Sadinle, Lei & Wasserman 2019).

    A class is in the set if its probability is at least a threshold, which held-out examples set.
    The chance is over examples that are exchangeable with those: on average over all of them, and
    not for each kind of input.

    >>> _ = torch.manual_seed(0)
    >>> probabilities = torch.randn(2000, 5).softmax(-1)
    >>> labels = torch.multinomial(probabilities, 1).squeeze(1)
    >>> sets = ConformalSets.fit(probabilities[:1000], labels[:1000], coverage=0.9)
    >>> inside = sets(probabilities[1000:]).gather(1, labels[1000:, None])
    >>> 0.87 < inside.double().mean().item() < 0.93
    True

    Args:
        threshold: the least probability of a class in a set.
        coverage: the chance that was asked for.
        class_axis: the dimension of the classes.
    """

    threshold: float
    coverage: float
    class_axis: int = -1

    @classmethod
    def fit(
        cls,
        probabilities: Tensor,
        labels: Tensor,
        coverage: float = 0.9,
        *,
        ignore: int = -100,
        class_axis: int | None = None,
    ) -> "ConformalSets":
        """The sets that held-out examples, which the model was not trained on, ask for.

        Args:
            probabilities, labels, ignore, class_axis: as in `labelled_items`.
            coverage: the chance that a set holds the truth, from 0.001 to 0.999.

        Raises:
            ViewError: there are too few examples for this coverage.
        """
        likely, truth = labelled_items(probabilities, labels, ignore, class_axis)
        of_truth = likely.double().gather(-1, truth[:, None]).squeeze(-1)
        threshold = 1 - _quantile(1 - of_truth, coverage)
        axis = -1 if class_axis is None else class_axis
        return cls(threshold=threshold, coverage=coverage, class_axis=axis)

    def __call__(self, probabilities: Tensor) -> Tensor:
        """Which classes are in the set of each item: booleans of the shape of `probabilities`.

        A set may be empty where the model is unsure; the classes of the largest probability are
        then in it, which makes the chance no smaller.
        """
        check_type("probabilities", probabilities, Tensor, "a tensor")
        inside = probabilities.double() >= self.threshold
        most = probabilities == probabilities.amax(self.class_axis, keepdim=True)
        return inside | most


@dataclass(frozen=True, kw_only=True)
class ConformalIntervals:
    """Intervals that hold the true value with a given chance (Lei et al. 2018; Romano et al. 2019).

    An interval reaches from the lower to the upper bound of a prediction, each moved outward by a
    margin that held-out examples set. With equal bounds, a mean, all intervals are as wide; with a
    scale, such as the standard deviation of samples, they are as wide as it says; with quantiles
    this is conformalised quantile regression.

    >>> _ = torch.manual_seed(0)
    >>> mean, truth = torch.zeros(2000), torch.randn(2000)
    >>> intervals = ConformalIntervals.fit(mean[:1000], truth[:1000], coverage=0.9)
    >>> low, high = intervals(mean[1000:])
    >>> 0.87 < ((low <= truth[1000:]) & (truth[1000:] <= high)).double().mean().item() < 0.93
    True

    Args:
        margin: how far bounds are moved, in units of the scale; negative where they were too wide.
        coverage: the chance that was asked for.
    """

    margin: float
    coverage: float

    @classmethod
    def fit(
        cls,
        lower: Tensor,
        truth: Tensor,
        coverage: float = 0.9,
        *,
        upper: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> "ConformalIntervals":
        """The intervals that held-out examples, which the model was not trained on, ask for.

        Args:
            lower: predicted lower bounds, or means where there is no `upper`.
            truth: the true values, of the same shape.
            coverage: the chance that an interval holds the truth, from 0.001 to 0.999.
            upper: predicted upper bounds.
            scale: of each interval, above 0, such as `prediction.variance.sqrt()`.

        Raises:
            ViewError: there are too few examples for this coverage, or shapes differ.
        """
        low, high, width = _bounds(lower, upper, scale)
        check_type("truth", truth, Tensor, "a tensor")
        if truth.shape != lower.shape:
            raise ViewError(
                f"there is one true value for each prediction, got shapes {tuple(truth.shape)} and "
                f"{tuple(lower.shape)}"
            )
        value = truth.detach().double()
        beyond = torch.maximum(low - value, value - high) / width
        return cls(margin=_quantile(beyond.flatten(), coverage), coverage=coverage)

    def __call__(
        self, lower: Tensor, *, upper: Tensor | None = None, scale: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The lower and the upper end of each interval; arguments as for `fit`."""
        low, high, width = _bounds(lower, upper, scale)
        return low - self.margin * width, high + self.margin * width


def _bounds(
    lower: Tensor, upper: Tensor | None, scale: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    tensors = {"lower": lower}
    if upper is not None:
        tensors["upper"] = upper
    if scale is not None:
        tensors["scale"] = scale
    for name, value in tensors.items():
        check_type(name, value, Tensor, "a tensor")
        if value.shape != lower.shape:
            raise ViewError(
                f"{name} has one number for each prediction, got shapes {tuple(value.shape)} and "
                f"{tuple(lower.shape)}"
            )
    low = lower.detach().double()
    width = torch.ones_like(low) if scale is None else scale.detach().double()
    if not bool((width > 0).all()):
        raise ViewError("a scale is above 0 for each prediction, and some are not")
    return low, low if upper is None else upper.detach().double(), width


def _quantile(scores: Tensor, coverage: float) -> float:
    """The score that a new one is not above with the chance asked for: of n, number ⌈(n+1) c⌉."""
    check_number("coverage", coverage, ViewError, least=0.001, most=0.999)
    if not bool(scores.isfinite().all()):
        raise ViewError("some predictions or labels are infinite or NaN")
    rank = ceil((len(scores) + 1) * coverage - 1e-9)
    if rank > len(scores):
        least = ceil(coverage / (1 - coverage) - 1e-9)
        raise ViewError(
            f"{len(scores)} examples with labels are too few for a coverage of {coverage}\n"
            f"  give at least {least}"
        )
    return float(scores.kthvalue(rank).values)
