"""A prediction beside the labels of its inputs, and what the labels say of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt

import torch
from torch import Tensor

from dropsmith.measures import auroc, calibration_error, reliability
from dropsmith.prediction import Prediction

_TWO_SIDED = 1.96
"""Standard errors to either side of a mean that hold 95 % of a normal distribution."""


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedPrediction:
    """The mean of samples, one pass without noise, and the labels: one row for each input.

    Args:
        mean: `[inputs, classes]` of classes, or `[inputs]` or `[inputs, 1]` of values.
        one_pass: of the same inputs without noise; None where the mean is of one pass itself.
        labels: numbers of classes, or values.
        texts: what a person reads of each input; empty where it has no text.
        pictures: `[inputs, 3, height, width]` in [0, 1], where inputs are pictures.
    """

    mean: Prediction
    one_pass: Prediction | None
    labels: Tensor
    texts: tuple[str, ...] = ()
    pictures: Tensor | None = None

    @property
    def is_regression(self) -> bool:
        """Whether values are predicted, and not classes."""
        return self.mean.kind == "regression"

    @property
    def ways(self) -> dict[str, Prediction]:
        """The predictions by what they are called."""
        samples = f"mean of {self.mean.samples} samples"
        name = samples if self.mean.mutual_information is not None else ONE_PASS
        if self.is_regression and self.mean.samples > 1:
            name = samples
        passes = {} if self.one_pass is None else {ONE_PASS: self.one_pass}
        return passes | {name: self.mean}

    @cached_property
    def wrong(self) -> Tensor:
        """Which inputs are predicted wrong by the mean; of values their squared errors."""
        return self.losses(self.mean)["squared error" if self.is_regression else "error rate"]

    def losses(self, prediction: Prediction) -> dict[str, Tensor]:
        """Losses of each input by name: error rate, NLL and Brier score, or squared error."""
        if self.is_regression:
            values = prediction.mean.double().view(len(self.labels))
            return {"squared error": (values - self.labels.double()).square()}
        likely = prediction.mean.double()
        of_truth = likely.gather(1, self.labels[:, None]).squeeze(1)
        truths = torch.nn.functional.one_hot(self.labels, likely.shape[1])
        return {
            "error rate": (likely.argmax(1) != self.labels).double(),
            "NLL": -of_truth.clamp(min=torch.finfo(likely.dtype).tiny).log(),
            "Brier score": (likely - truths).square().sum(1),
        }

    def scores(self, prediction: Prediction) -> dict[str, float]:
        """Scores over all inputs, by name."""
        if self.is_regression:
            errors = self.losses(prediction)["squared error"]
            return {"RMSE": float(errors.mean().sqrt()), "MAE": float(errors.sqrt().mean())}
        judged = reliability(prediction.mean, self.labels)
        adaptive = calibration_error(prediction.mean, self.labels, binning="count")
        by_class = calibration_error(prediction.mean, self.labels, by_class=True)
        return {
            "accuracy": 1 - float(self.losses(prediction)["error rate"].mean()),
            "NLL": judged.nll,
            "Brier score": judged.brier,
            "calibration error": judged.error,
            "adaptive calibration error": adaptive,
            "calibration error by class": by_class,
        }

    def gains(self) -> dict[str, tuple[float, float]]:
        """By how much the mean of samples is above one pass, and half of its 95 % interval.

        The interval is over inputs, as if they had been drawn at random, and for this one model.
        """
        if self.one_pass is None:
            return {}
        before, after = self.losses(self.one_pass), self.losses(self.mean)
        changes = {name: after[name] - before[name] for name in after}
        if "error rate" in changes:
            changes = {"accuracy": -changes.pop("error rate"), **changes}
        count = len(self.labels)
        return {
            name: (float(change.mean()), _TWO_SIDED * float(change.std()) / sqrt(count))
            for name, change in changes.items()
            if count > 1
        }

    def uncertainties(self) -> dict[str, Tensor]:
        """Numbers of each input that are large where the model is unsure, by name."""
        if self.is_regression:
            deviation = self.mean.variance.double().clamp(min=0).sqrt().view(len(self.labels))
            return {"standard deviation": deviation} if bool(deviation.isfinite().all()) else {}
        found = {"entropy": self.mean.entropy, "mutual information": self.mean.mutual_information}
        if self.one_pass is not None:
            found["entropy of one pass"] = self.one_pass.entropy
        return {name: numbers.double() for name, numbers in found.items() if numbers is not None}

    def detection(self) -> dict[str, float]:
        """The AUROC of each uncertainty for inputs that are predicted wrong, where some are."""
        if self.is_regression or float(self.wrong.sum()) in (0.0, float(len(self.wrong))):
            return {}
        return {name: auroc(numbers, self.wrong) for name, numbers in self.uncertainties().items()}


ONE_PASS = "one pass, noise off"


def of_inputs(prediction: Prediction, chosen: Tensor) -> Prediction:
    """The prediction of some of its inputs, one row for each, without its samples.

    Args:
        prediction: whose classes are on the last axis.
        chosen: which of them, a boolean for each: `[batch]`, or `[batch, time]` of tokens. Without
            names, they are called by their numbers from 0.
    """
    fields = ("mean", "variance", "entropy", "expected_entropy", "mutual_information")
    tensors = {name: getattr(prediction, name) for name in fields}
    kept = {name: None if x is None else x.cpu()[chosen] for name, x in tensors.items()}
    numbers = chosen.nonzero().tolist()
    if prediction.names and chosen.ndim == 1:
        named = tuple(prediction.names[number] for (number,) in numbers)
    else:
        named = tuple(", ".join(map(str, place)) for place in numbers)
    return replace(prediction, names=named, draws=None, **kept)


def pictures_of(columns: Mapping[str, Tensor]) -> Tensor | None:
    """The first column of pictures, `[inputs, 1 or 3, height, width]`, stretched to [0, 1]."""
    for column in columns.values():
        if column.ndim == 4 and column.shape[1] in (1, 3) and column.is_floating_point():
            low, high = column.min(), column.max()
            return (column - low) / (high - low).clamp(min=torch.finfo(column.dtype).tiny)
    return None
