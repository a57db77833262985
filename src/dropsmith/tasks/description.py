"""A description of data in a few lines, which is printed before training and is on the page."""

import torch
from torch import Tensor

from dropsmith.tasks.data.part import Part
from dropsmith.tasks.task import Data, Task

_CLASSES = 12
"""Classes that are listed, at most."""


def describe(task: Task, data: Data) -> str:
    """The lines of `data_facts` as text.

    Args:
        task: of the data.
        data: its examples.
    """
    lines = data_facts(task, data)
    width = max(map(len, lines)) + 2
    return "\n".join(f"{name:{width}}{text}" for name, text in lines.items())


def data_facts(task: Task, data: Data) -> dict[str, str]:
    """The data as it was read, by name: columns, labels, split and the part of an input in use.

    Args:
        task: of the data.
        data: its examples.
    """
    notes = dict(data.notes)
    lines = {"data": data.source}
    if "columns" in notes:
        lines["columns"] = notes["columns"]
    if task.kind == "regression":
        lines["values"] = _values(data)
    elif _labels(data.train) is None and data.names:
        lines["vocabulary"] = f"{len(data.names):,} words or pieces of words"
    else:
        lines["classes"] = _classes(data)
    sizes = f"train {len(data.train):,}, validation {len(data.validation):,}"
    split = f"{sizes}, test {len(data.test):,}"
    lines["split"] = f"{split}; {notes['split']}" if "split" in notes else split
    return lines | {name: text for name, text in notes.items() if name not in ("columns", "split")}


def _labels(part: Part) -> Tensor | None:
    return part.tensors().get("labels")


def _classes(data: Data) -> str:
    labels = _labels(data.train)
    if labels is None or not data.names or labels.dim() != 1:
        return f"{data.classes} classes"
    counts = torch.bincount(labels.long(), minlength=len(data.names)).tolist()
    pairs = [f"{name[:40]} {count:,}" for name, count in zip(data.names, counts, strict=False)]
    more = f" and {len(pairs) - _CLASSES} more" if len(pairs) > _CLASSES else ""
    return f"{len(pairs)}, with training examples each: {', '.join(pairs[:_CLASSES])}{more}"


def _values(data: Data) -> str:
    labels = _labels(data.train)
    if labels is None:
        return "numbers"
    values = labels.double() * data.train.unit + data.mean
    least, most, mean = (
        _rounded(float(v), data.train.unit) for v in (values.min(), values.max(), values.mean())
    )
    return f"in training from {least} to {most}, mean {mean}"


def _rounded(value: float, unit: float) -> str:
    """A value without the noise of its standardisation."""
    return f"{0.0 if abs(value) < 1e-6 * unit else value:.4g}"
