"""The meaning of a model's scores: probabilities or values, their entropy, and their variance."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from dropsmith.errors import NoiseError
from dropsmith.portable import exporting
from dropsmith.prediction.kinds import OF_VALUES, WITH_CLASSES, PredictionKind

Spread = Literal["variance", "log_variance", "deviation"]
"""The form in which a model predicts how far values lie from their mean."""

_ROUNDING = 1e-4


class Reading(NamedTuple):
    """The meaning of the scores of one or several samples.

    Args:
        values: probabilities, or values.
        entropy: of each distribution, in nats; None of values.
        data_variance: the variance that the model predicts for each value, where it predicts one.
    """

    values: Tensor
    entropy: Tensor | None = None
    data_variance: Tensor | None = None


def read_scores(
    parts: tuple[Tensor, ...], kind: PredictionKind, axis: int = -1, spread: Spread | None = None
) -> Reading:
    """Read the scores of samples.

    >>> read_scores((torch.tensor([[1.0, -1.0]]),), "ordinal").values
    tensor([[0.2689, 0.4621, 0.2689]])

    Args:
        parts: the scores, `[samples, ...]`; of `gaussian` outputs the means and what `spread` says.
        kind: of the outputs.
        axis: the dimension of the classes or thresholds.
        spread: what the second part is.

    Raises:
        NoiseError: they are no scores of this kind.
    """
    scores = _wide(parts[0])
    if kind == "gaussian":
        return Reading(scores, None, _variance(_wide(parts[1]), scores, spread))
    if kind in OF_VALUES:
        return Reading(scores)
    values = probabilities(scores, kind, axis)
    return Reading(values, entropy_of(values, kind, axis))


def probabilities(scores: Tensor, kind: PredictionKind, axis: int = -1) -> Tensor:
    """The probabilities that scores stand for."""
    if kind == "classification":
        return scores.softmax(axis)
    if kind == "multi_label":
        return scores.sigmoid()
    above = scores.sigmoid()
    if kind == "conditional_ordinal":
        above = above.cumprod(axis)
    end = above.narrow(axis, 0, 1)
    steps = torch.cat([torch.ones_like(end), above, torch.zeros_like(end)], axis).diff(dim=axis)
    steps = steps.neg()
    if not exporting() and bool((steps < -_ROUNDING).any()):
        raise NoiseError(
            "the scores of an ordinal output do not fall: the probability that the class is above "
            "k + 1 is larger than that it is above k\n"
            '  type kind="conditional_ordinal" where score k is of classes above k - 1 alone '
            '(CORN), kind="classification" for a score of each class'
        )
    return steps.clamp(min=0)


def entropy_of(values: Tensor, kind: PredictionKind, axis: int = -1) -> Tensor:
    """The entropy of probabilities in nats: of each distribution, or of each label."""
    if kind in WITH_CLASSES:
        return _entropy_terms(values).sum(axis)
    return _entropy_terms(values) + _entropy_terms(1 - values)


def _entropy_terms(values: Tensor) -> Tensor:
    """-p ln p, 0 at 0: a third of the time of `torch.special.entr`, which has no vector code."""
    least = torch.finfo(values.dtype).tiny
    return values.clamp(min=least).log_().mul_(values).neg_()


def _wide(scores: Tensor) -> Tensor:
    return scores if scores.dtype == torch.float64 else scores.float()


def _variance(spread: Tensor, mean: Tensor, form: Spread | None) -> Tensor:
    if spread.shape != mean.shape:
        raise NoiseError(
            f"a gaussian output has a variance for each mean, got means of shape "
            f"{tuple(mean.shape[1:])} and {form} of shape {tuple(spread.shape[1:])}"
        )
    if form == "log_variance":
        return spread.exp()
    if not exporting() and bool((spread < 0).any()):
        raise NoiseError(
            f"the {form} of a gaussian output is negative at {int((spread < 0).sum())} places\n"
            '  type scores={"mean": ..., "log_variance": ...} for the logarithm of a variance'
        )
    return spread.square() if form == "deviation" else spread
