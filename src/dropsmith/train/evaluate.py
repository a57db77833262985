"""How good a model is on a part of the data, noise off."""

import math
from collections import defaultdict

import torch
from torch import Tensor, nn

from dropsmith.sites.batch import call
from dropsmith.tasks import Split, Task, device_of
from dropsmith.views import logits_of

ROWS = 256
"""Examples in a pass; scores are sums, so it does not change them."""


def evaluate(model: nn.Module, task: Task, split: Split) -> dict[str, float]:
    """The means over a split of the task's scores, and `calibration_error`.

    The model is in eval mode meanwhile, and afterwards every module in the mode it was in.

    Args:
        model: takes the split's columns by name.
        task: its `score` is summed over batches; a perplexity task adds exp(nll).
        split: the examples.

    Returns:
        `nll` in nats per item, `accuracy`, `calibration_error` (mean difference between
        confidence and accuracy over 15 bins of confidence; Naeini et al., 2015), and
        `perplexity` where the task is judged by it.
    """
    from torchmetrics.classification import MulticlassCalibrationError

    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        return _scores(model, task, split, MulticlassCalibrationError)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _scores(model: nn.Module, task: Task, split: Split, error: type) -> dict[str, float]:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    calibration = None
    for start in range(0, len(split), ROWS):
        batch = on_device(split.rows(slice(start, start + ROWS)), device_of(model))
        with torch.no_grad():
            output = call(model, batch)
        for name, (total, count) in task.score(output, batch).items():
            sums[name][0] += total
            sums[name][1] += count
        scores, labels = _flat(logits_of(output), batch["labels"])
        if calibration is None:
            calibration = error(num_classes=scores.shape[1], n_bins=15).to(scores.device)
        calibration.update(scores.softmax(-1), labels)
    means = {name: total / count for name, (total, count) in sums.items()}
    means["calibration_error"] = float(calibration.compute()) if calibration else math.nan
    if task.perplexity:
        means["perplexity"] = math.exp(min(means["nll"], 700.0))
    return means


def _flat(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Scores and labels of the items that count, one row each."""
    counted = labels != -100
    return logits[counted].float(), labels[counted]


def on_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The batch where the model is."""
    return {name: column.to(device) for name, column in batch.items()}
