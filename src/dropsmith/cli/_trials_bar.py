"""The progress of a search, on standard error."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from dropsmith.cli._output import console, progress_bar
from dropsmith.cli._signals import signals_handled

if TYPE_CHECKING:
    from dropsmith.pattern_search import Progress, Trial, Watch

FAILURES = ("failed", "lost")


@contextmanager
def trials_bar(title: str, total: int, score: str) -> Iterator["Watch"]:
    """A bar over all trials with the remaining time and the best score so far.

    Without a terminal, a line for each trial.

    Args:
        title: the name of the task.
        total: the number of trials.
        score: the name of the scores.
    """
    from rich.progress import BarColumn, TimeElapsedColumn

    errors = console(stderr=True)
    columns = (
        "{task.description}",
        BarColumn(),
        "{task.completed} of {task.total} trials{task.fields[said]}",
        TimeElapsedColumn(),
    )
    statuses: Counter[str] = Counter()
    hidden = not errors.is_terminal
    with signals_handled() as check, progress_bar(errors, *columns) as bar:
        line = bar.add_task(title, total=total, said="")

        def watch(progress: "Progress") -> None:
            check()
            message = _summary(progress, statuses)
            bar.update(line, completed=progress.done, total=progress.total, said=message)
            if progress.last_trial is None:
                return
            trial, best = progress.last_trial, progress.best
            statuses[trial.status] += 1
            better = best is not None and best.number == trial.number
            if better or trial.why or hidden:
                style = "red" if trial.status in FAILURES else ""
                remaining = _time_left(progress) if hidden else ""
                errors.print(_line(progress, trial, better, score, remaining), style=style)

        yield watch


def _summary(progress: "Progress", statuses: Counter[str]) -> str:
    counts = [
        f", {statuses[name]} {name}" for name in ("stopped", "failed", "lost") if statuses[name]
    ]
    best = "" if progress.best is None else f", best {progress.best.score:.4f}"
    return "".join(counts) + best + _time_left(progress)


def _time_left(progress: "Progress") -> str:
    return "" if progress.seconds_left is None else f", {_time(progress.seconds_left)} left"


def _line(progress: "Progress", trial: "Trial", better: bool, score: str, remaining: str) -> str:
    from dropsmith.report import brief

    start = f"{progress.done} of {progress.total} trials{remaining}; trial {trial.number}: "
    if trial.score is None:
        return f"{start}{trial.status}{': ' if trial.why else ''}{trial.why}"
    if not better:
        return f"{start}{score} {trial.score:.4f}"
    rules = ", ".join(map(brief, trial.plan.rules)) or "no noise"
    return f"{start}{score} {trial.score:.4f}, the best so far\n  {rules}"


def _time(seconds: float) -> str:
    """
    >>> _time(75.4)
    '0:01:15'
    """
    return str(timedelta(seconds=round(seconds)))
