"""A task of the user's own, named on the command line as `module:name`."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

from dropsmith.errors import TaskError
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.task import Data, Task
from dropsmith.user_code import import_instance

_NEEDED = {
    "noises": "the kinds of noise that plan() can place, such as noises = ('dropout',)",
    "budget": "how long its model is trained, a dropsmith.tasks.Budget",
}


def user_task(reference: str, data_options: DataOptions) -> Task:
    """The task of a reference, under that reference as its name, by which other processes find it.

    Raises:
        TaskError: there is none, or it is something else or lacks what a task carries.
    """
    value = import_instance(reference, Task, "task")
    for name, meaning in _NEEDED.items():
        if not hasattr(value, name):
            raise TaskError(f"the task {reference} has no {name}\n  give it {meaning}")
    task: Any = copy.copy(value)
    for name, attribute in {
        "name": reference,
        "data_options": data_options,
        "load": partial(_load, reference, value),
    }.items():
        object.__setattr__(task, name, attribute)
    return task


def _load(reference: str, task: Task, data: Path | None = None, limit: int | None = None) -> Data:
    examples = task.load(data, limit)
    if not isinstance(examples, Data):
        raise TaskError(
            f"the task {reference} loads a {type(examples).__name__}, and no dropsmith.tasks.Data\n"
            "  return Data.of((train, validation, test), names=..., source=...)"
        )
    return examples
