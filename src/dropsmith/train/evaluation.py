"""Scores of a model on a part of the data, without noise or as a mean over noisy passes."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import call
from dropsmith.passes import logits_of
from dropsmith.plans import Kind
from dropsmith.prediction import stream_predictions
from dropsmith.tasks import Meter, Part, Task, class_meters, device_of, value_meters

ROWS = 256
"""Examples in a batch, which does not change the scores."""


def evaluate(
    model: nn.Module,
    task: Task,
    part: Part,
    samples: int = 0,
    *,
    seed: int = 0,
    without: tuple[Kind, ...] = (),
    all_scores: bool = False,
) -> dict[str, float]:
    """The scores of a model on a part of a task's data.

    The model runs in eval mode; afterwards every module is in its earlier mode.

    Args:
        model: takes the columns of the part by name.
        task: the task, whose scores are computed.
        part: the examples; a stream is read from its start, with its state carried on.
        samples: 0 for one pass without noise; else the number of passes with the installed plan's
            noise whose probabilities are averaged. Each sample has its own masks, which stay the
            same for a whole stream, and its own state.
        seed: of the samples' masks.
        without: kinds of sites without noise in the samples; the code of Gal & Ghahramani has no
            noise on `words`.
        all_scores: whether to include the scores of `class_meters` or `value_meters`, for tasks
            with one label for each example.

    Returns:
        For classes `nll` in nats per item, `accuracy`, `calibration_error` (mean difference between
        confidence and accuracy over 15 bins of confidence; Naeini et al., 2015), and `perplexity`
        for tasks that report it. For values `mse` and `rmse`. Also the scores of the task's meters.

    Raises:
        NoiseError: samples of a model without noise.
    """
    with evaluating(model):
        if not samples:
            read = OnePass(model, task).read
            return _scores(task, part, read, device_of(model), all_scores)
        example = on_device(part.rows(slice(0, 2)), device_of(model))
        with stream_predictions(
            model,
            example,
            samples,
            task.carry,
            kind=task.kind,
            seed=seed,
            without=without,
            draws="independent",
        ) as mean:
            return _scores(task, part, mean.read, device_of(model), all_scores)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into eval mode in a `with` block, and restore the mode of every module."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


class OnePass:
    """Runs batches in order, each from the final state of the one before."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        self.model, self.task = model, task
        self.window_state: dict[str, Any] = {}

    def read(self, batch: dict[str, Tensor], continues: bool) -> Any:
        """The output of the model for a batch."""
        with torch.no_grad():
            output = call(self.model, batch | (self.window_state if continues else {}))
        self.window_state = dict(self.task.carry(output))
        return output


Read = Callable[[dict[str, Tensor], bool], Any]


def _scores(
    task: Task, part: Part, read: Read, device: torch.device, all_scores: bool
) -> dict[str, float]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    calibration = Calibration() if task.kind == "classification" else None
    meters, more = task.meters(), None
    for part_batch in part.batches(ROWS):
        batch = on_device(part_batch.columns, device)
        output = read(batch, part_batch.continues)
        for name, (total, count) in task.score(output, batch).items():
            sums[name][0] += total
            sums[name][1] += count
        if calibration is not None:
            calibration.add(*_flat(logits_of(output), batch["labels"]))
        for meter in meters.values():
            meter.add(logits_of(output), batch["labels"])
        if all_scores and (counted := single_labels(task, logits_of(output), batch["labels"])):
            more = more or meters_of(task, counted[0])
            for meter in more.values():
                meter.add(*counted)
    means = {name: total / count for name, (total, count) in sums.items()}
    if calibration is not None:
        means["calibration_error"] = calibration.error
    means |= {name: meter.value for name, meter in (meters | (more or {})).items()}
    return task.measures(means, part)


def single_labels(task: Task, output: Tensor, labels: Tensor) -> tuple[Tensor, Tensor] | None:
    """The outputs and labels of a task with one class or value for each example."""
    if labels.ndim != 1 or len(output) != len(labels):
        return None
    if task.kind == "regression":
        is_single = output.numel() == labels.numel()
        return (output.reshape(-1, 1), labels) if is_single else None
    if output.ndim != 2 or labels.is_floating_point():
        return None
    scores, classes = _flat(output, labels)
    return (scores, classes) if len(classes) else None


def meters_of(task: Task, output: Tensor) -> dict[str, Meter]:
    """New meters for all scores of such a task."""
    return value_meters() if task.kind == "regression" else class_meters(output.shape[1])


class Calibration:
    """The calibration error of scores, computed batch by batch."""

    def __init__(self) -> None:
        self.metric: Any = None

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Add items, each with a row of scores."""
        from torchmetrics.classification import MulticlassCalibrationError

        if self.metric is None:
            self.metric = MulticlassCalibrationError(num_classes=scores.shape[1], n_bins=15)
            self.metric = self.metric.to(scores.device)
        self.metric.update(scores.softmax(-1), labels)

    @property
    def error(self) -> float:
        """The calibration error of all items; NaN without items."""
        return float(self.metric.compute()) if self.metric is not None else math.nan


def _flat(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and labels of the items that are not ignored, one row each."""
    valid = labels != -100
    return logits[valid].float(), labels[valid]


def on_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The batch on the device of the model."""
    return {name: column.to(device) for name, column in batch.items()}
