"""The hash of the user's own code in a run, apart from that of its model."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from dropsmith.tasks import find_task
from dropsmith.train._setup import Setup
from dropsmith.user_code import is_reference, source_hash


def code_hash(setup: Setup) -> str | None:
    """The hash of the sources of a setup's task, objective, patterns, schedules and optimiser.

    It covers their modules and the modules that these import, but no installed libraries, whose
    versions are in the record. None if all code is of libraries.

    Raises:
        TaskError: the task's name cannot be imported.
    """
    values = [setup.plan, setup.objective, setup.budget]
    modules = {module for value in values for module in _modules(value)}
    if is_reference(setup.task):
        modules |= {type(find_task(setup.task)).__module__, setup.task.partition(":")[0]}
    return source_hash(module for module in modules if not module.startswith("dropsmith."))


def _modules(value: Any) -> Iterator[str]:
    """The modules of the classes and functions in a value."""
    if isinstance(value, tuple | list):
        for item in value:
            yield from _modules(item)
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__module__
        for field in fields(value):
            yield from _modules(getattr(value, field.name))
    elif callable(value):
        yield getattr(value, "__module__", None) or ""
