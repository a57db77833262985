"""The examples without a label of a run: training examples whose labels are hidden, or others."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch

from dropsmith.errors import DataError, TaskError, excerpt
from dropsmith.tasks.data.part import Part
from dropsmith.tasks.data.partly_labelled import divide_labels
from dropsmith.tasks.data.preprocessing import Preprocessing
from dropsmith.tasks.images.preprocessing import PicturePreprocessing
from dropsmith.tasks.task import Data, Task


def with_unlabelled(task: Task, data: Data, labels: int | None, place: str | None) -> Data:
    """The data with some labels hidden, or with examples of another place that have none.

    Args:
        task: whose data it is.
        data: as the task reads it.
        labels: how many training examples keep their label; None for all.
        place: a table, a picture or a folder of pictures; of its examples those without a label
            are read. None for those alone whose label is hidden.

    Raises:
        TaskError: the task has no classes, or there are not so many examples.
        DataError: the place cannot be read, or has no example without a label.
    """
    if task.kind != "classification":
        raise TaskError(
            f"examples without a label are for tasks with classes, and {task.name} predicts values"
            "\n  leave out labels and unlabelled"
        )
    if place is None:
        assert labels is not None
        train, unlabelled = divide_labels(data.train, labels)
        return replace(data, train=train, unlabelled=unlabelled)
    if labels is not None:
        raise TaskError(
            f"examples without a label are in {excerpt(str(place))}, and labels={labels} would "
            "hide the labels of others\n  give one of the two"
        )
    unlabelled = _read(task, data, Path(place))
    return replace(data, unlabelled=unlabelled, unlabelled_sha256=_hash(unlabelled))


def _read(task: Task, data: Data, place: Path) -> Part:
    steps = data.preprocessing or _steps_of_pictures(data)
    if steps is None:
        raise TaskError(
            f"the task {task.name} does not read examples from files, so unlabelled="
            f"{excerpt(str(place))} cannot be used\n  hide labels of its own examples: labels=100"
        )
    inputs = steps.read(place, task.data_options.bounds)
    if inputs.labels is None:
        return inputs.part
    rows = (inputs.labels < 0).nonzero().flatten()
    if not len(rows):
        raise DataError(
            f"every example in {place} has a label\n"
            "  name a table without the column of labels, or with empty cells in it"
        )
    return inputs.part.select(rows)


def _steps_of_pictures(data: Data) -> Preprocessing | None:
    """The reading of files of pictures as large as the task's, where these have three colours."""
    columns = data.train.rows(slice(0, 1))
    images = [name for name, column in columns.items() if column.ndim == 4]
    if len(images) != 1 or columns[images[0]].shape[1] != 3:
        return None
    height, width = columns[images[0]].shape[2:]
    return PicturePreprocessing(size=(height, width), classes=data.names, input=images[0])


def _hash(part: Part) -> str:
    digest = hashlib.sha256()
    for name, column in sorted(part.tensors().items()):
        digest.update(f"{name} {column.dtype} {tuple(column.shape)}".encode())
        digest.update(column.detach().to(torch.device("cpu")).contiguous().numpy().data)
    return digest.hexdigest()
