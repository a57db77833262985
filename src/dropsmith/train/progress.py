"""Listeners to the progress of a run, and a bar that shows it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A function that is called with the progress of a run.

    Args:
        share: the finished share of the steps, from 0 to 1.
    """

    def __call__(self, share: float, /) -> None: ...


class EvaluationListener(Protocol):
    """A function that is called after each evaluation; an error that it raises ends the run.

    Args:
        numbers: the row of the run's curve.
    """

    def __call__(self, numbers: Mapping[str, float], /) -> None: ...


class TermsListener(Protocol):
    """A function that is called with the terms of the loss during a run.

    Args:
        terms: the mean of each term since the last evaluation, by name; the task loss is `task`.
    """

    def __call__(self, terms: Mapping[str, float], /) -> None: ...


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A progress bar on the terminal with the remaining time, removed at the end of the run.

    >>> with bar("digits") as progress:
    ...     progress(0.5)

    Args:
        title: the text before the bar.
    """
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    # On standard error: standard output may be JSON for machines.
    with Rich(*columns, console=Console(stderr=True), transient=True) as rich:
        task = rich.add_task(title, total=1.0)
        yield lambda share: rich.update(task, completed=share)
