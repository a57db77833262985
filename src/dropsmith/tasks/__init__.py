"""Data, a small model, a loss and scores: what a method is tried on."""

from dropsmith.tasks._task import Budget, Data, Split, Task, device_of
from dropsmith.tasks.find import TASKS, find_task
from dropsmith.tasks.images import ImageTask
from dropsmith.tasks.own_model import OwnModelTask, with_model
from dropsmith.tasks.python_docs import PythonDocsTask
from dropsmith.tasks.texts import TextSource, TextTask

__all__ = [
    "TASKS",
    "Budget",
    "Data",
    "ImageTask",
    "OwnModelTask",
    "PythonDocsTask",
    "Split",
    "Task",
    "TextSource",
    "TextTask",
    "device_of",
    "find_task",
    "with_model",
]
