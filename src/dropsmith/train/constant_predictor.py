"""The scores of a constant prediction: the commonest class, or the mean."""

import math

from torch import Tensor
from torch.nn import functional as F

from dropsmith.tasks import Data, Task
from dropsmith.train.evaluation import meters_of, single_labels

PREFIX = "test_constant_"
"""The prefix of the names of these scores in a record."""


def constant_scores(task: Task, data: Data) -> dict[str, float]:
    """Test scores of a constant prediction from the training labels, by name.

    For classes, the prediction is the share of each class in training, so that the predicted class
    is the commonest. For values it is their mean. Tasks with more than one label for each example,
    such as running text, have no such scores.

    Args:
        task: of the data; its meters are used as well.
        data: the training labels for the prediction, and the test labels for the scores.
    """
    train, test = (part.tensors().get("labels") for part in (data.train, data.test))
    if train is None or test is None or train.ndim != 1 or not len(train) or not len(test):
        return {}
    is_values = task.kind == "regression"
    if not is_values and train.is_floating_point():
        return {}
    output = _mean(train, test) if is_values else _shares(train, test, data.classes)
    counted = single_labels(task, output, test)
    if counted is None:
        return {}
    output, labels = counted
    scores = _errors(output, labels, data.test.unit) if is_values else _likelihood(output, labels)
    meters = task.meters() | meters_of(task, output)
    for name, meter in meters.items():
        meter.add(output, labels)
        scores[name] = meter.value * (data.test.unit if name == "mae" else 1)
    return {PREFIX + name: value for name, value in scores.items()}


def _shares(train: Tensor, test: Tensor, classes: int) -> Tensor:
    """The logarithms of the shares of classes; a class without examples counts as one example."""
    counts = train[train >= 0].bincount(minlength=classes).clamp(min=1)
    return counts.float().div(counts.sum()).log().expand(len(test), -1)


def _mean(train: Tensor, test: Tensor) -> Tensor:
    return train.float().mean().expand(len(test), 1)


def _likelihood(output: Tensor, labels: Tensor) -> dict[str, float]:
    right = output.argmax(-1) == labels
    return {
        "accuracy": float(right.float().mean()),
        "nll": float(F.nll_loss(output.double(), labels)),
    }


def _errors(output: Tensor, labels: Tensor, unit: float) -> dict[str, float]:
    squared = float((output.squeeze(1) - labels).double().square().mean())
    return {"mse": squared, "rmse": unit * math.sqrt(squared)}
