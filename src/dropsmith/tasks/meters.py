"""Scores of a whole part of the data that are no means over its examples, through torchmetrics."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor


class Meter:
    """A score taken batch by batch.

    >>> import torch
    >>> meter = create_meters(["matthews"])["matthews"]
    >>> meter.add(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1]))
    >>> meter.value
    1.0

    Args:
        metric: one of torchmetrics, of a prediction and a label for each example.
        predictions_of: takes what the model returned and gives its predictions.
        is_undefined: says of the metric that it has no value, where it would return a number.
    """

    def __init__(
        self,
        metric: Any,
        predictions_of: Callable[[Tensor], Tensor],
        is_undefined: Callable[[Any], bool] | None = None,
    ) -> None:
        self.metric, self.predictions_of, self.on_device = metric, predictions_of, False
        self.is_undefined = is_undefined or _never

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count these examples."""
        if not self.on_device:
            self.metric, self.on_device = self.metric.to(logits.device), True
        self.metric.update(self.predictions_of(logits.detach()), labels)

    @property
    def value(self) -> float:
        """That of all examples; 0 where predictions or labels are all alike and it has none."""
        if self.is_undefined(self.metric):
            return 0.0
        with warnings.catch_warnings():
            # Of a correlation without variance, which has its own value here.
            warnings.simplefilter("ignore", UserWarning)
            result = float(self.metric.compute())
        return 0.0 if math.isnan(result) else result


def create_meters(names: Sequence[str]) -> dict[str, Meter]:
    """New meters by name.

    Args:
        names: `f1` (of the second class) and `matthews` for two classes, `pearson` and `spearman`
            for values.
    """
    with warnings.catch_warnings():
        # That Spearman's keeps all predictions: two numbers an example.
        warnings.simplefilter("ignore", UserWarning)
        return {name: _MAKERS[name]() for name in names}


MAX_CLASSES = 100
"""The most classes of which the area under the curve is taken: it sorts the scores of each."""


def class_meters(classes: int) -> dict[str, Meter]:
    """New meters of any task with one class for each example.

    `macro_f1` and `weighted_f1` are means of F1 over classes, the latter by their counts. `auroc`
    is the mean area under the ROC curve of each class against the rest, over the classes that have
    examples and are not all of them; it is left out for more than 100 classes.
    """
    from torchmetrics.classification import MulticlassF1Score

    meters = {
        f"{average}_f1": Meter(MulticlassF1Score(classes, average=average), _choice)
        for average in ("macro", "weighted")
    }
    return meters | ({"auroc": OneAgainstRest(classes)} if classes <= MAX_CLASSES else {})


def value_meters() -> dict[str, Meter]:
    """New meters of any task with one value for each example: `mae`, and `r2`, which is R²."""
    from torchmetrics.regression import MeanAbsoluteError, R2Score

    return {
        "mae": Meter(MeanAbsoluteError(), _single),
        "r2": Meter(R2Score(), _single, _is_one_example),
    }


class OneAgainstRest(Meter):
    """The mean area under the ROC curve of each class against the rest."""

    def __init__(self, classes: int) -> None:
        from torchmetrics.classification import MulticlassAUROC

        with warnings.catch_warnings():
            # That it keeps all scores: one number a class of an example.
            warnings.simplefilter("ignore", UserWarning)
            metric = MulticlassAUROC(classes, average=None, thresholds=None)
        super().__init__(metric, _probabilities)
        self.counts = [0] * classes

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count these examples."""
        super().add(logits, labels)
        for label, count in enumerate(labels.bincount(minlength=len(self.counts)).tolist()):
            self.counts[label] += count

    @property
    def value(self) -> float:
        """That of all examples; 0 where they are of one class."""
        present = [c for c, count in enumerate(self.counts) if 0 < count < sum(self.counts)]
        if not present:
            return 0.0
        with warnings.catch_warnings():
            # Of classes without examples, which are left out here.
            warnings.simplefilter("ignore", UserWarning)
            areas = self.metric.compute()
        return float(areas[present].mean())


def _probabilities(logits: Tensor) -> Tensor:
    return logits.float().softmax(-1)


def _is_one_example(metric: Any) -> bool:
    return int(metric.total) < 2


def _f1() -> Meter:
    from torchmetrics.classification import BinaryF1Score

    return Meter(BinaryF1Score(), _choice)


def _matthews() -> Meter:
    from torchmetrics.classification import BinaryMatthewsCorrCoef

    # Where all predictions are one class, torchmetrics has a small number other than 0.
    return Meter(BinaryMatthewsCorrCoef(), _choice, _is_one_class)


def _pearson() -> Meter:
    from torchmetrics.regression import PearsonCorrCoef

    return Meter(PearsonCorrCoef(), _single)


def _spearman() -> Meter:
    from torchmetrics.regression import SpearmanCorrCoef

    return Meter(SpearmanCorrCoef(), _single)


_MAKERS: Mapping[str, Callable[[], Meter]] = {
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
}


def _never(metric: Any) -> bool:
    return False


def _is_one_class(metric: Any) -> bool:
    return bool((metric.confmat.sum(0) == 0).any() or (metric.confmat.sum(1) == 0).any())


def _choice(logits: Tensor) -> Tensor:
    return logits.argmax(-1)


def _single(values: Tensor) -> Tensor:
    return values.squeeze(-1).float()
