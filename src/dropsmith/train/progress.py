"""Listeners to the progress of a run, and a bar that shows it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A listener that hears again and again how much of a run is done.

    Args:
        share: the share of the steps that is done, from 0 to 1.
    """

    def __call__(self, share: float, /) -> None: ...


class EvaluationListener(Protocol):
    """A listener to each evaluation; an error that it raises ends the run, its checkpoint kept.

    Args:
        numbers: the row of the run's curve.
    """

    def __call__(self, numbers: Mapping[str, float], /) -> None: ...


class TermsListener(Protocol):
    """A listener to the terms of the loss while a run is made.

    Args:
        terms: the mean of each term since the last evaluation, by name; that of the task is `task`.
    """

    def __call__(self, terms: Mapping[str, float], /) -> None: ...


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A line on the terminal with a bar and the time that is left; gone when the run ends.

    >>> with bar("digits") as progress:
    ...     progress(0.5)

    Args:
        title: what is running.
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
    # On standard error: what a command prints to be read by machines stays clean.
    with Rich(*columns, console=Console(stderr=True), transient=True) as rich:
        task = rich.add_task(title, total=1.0)
        yield lambda share: rich.update(task, completed=share)
