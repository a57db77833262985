"""The progress of many runs, on standard error."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dropsmith.cli._output import console, progress_bar
from dropsmith.cli._signals import signals_handled
from dropsmith.errors import printable

if TYPE_CHECKING:
    from dropsmith.compare import Watch
    from dropsmith.record import Record


NO_TERMS: Mapping[str, float] = {}


@contextmanager
def runs_bar(title: str, total: int, *, advice: str = "--again") -> Iterator["Watch"]:
    """A bar over all runs with the remaining time, or without a terminal a line for each run.

    Below the bar of a single run are the means of the terms of its loss.

    Args:
        title: of the runs.
        total: the number of runs.
        advice: the option that trains runs on disk again; empty without one.
    """
    from rich.progress import BarColumn, TimeElapsedColumn, TimeRemainingColumn

    errors = console(stderr=True)
    columns = (
        "{task.description}",
        BarColumn(),
        "{task.fields[said]}",
        TimeElapsedColumn(),
        "left",
        TimeRemainingColumn(),
    )
    hidden = not errors.is_terminal
    with signals_handled() as check, progress_bar(errors, *columns) as bar:
        line = bar.add_task(title, total=total, said=_so_far(0.0, total))
        made: set[str] = set()

        def watch(
            progress: float,
            total: int,
            record: "Record | None",
            terms: Mapping[str, float] = NO_TERMS,
        ) -> None:
            if terms and total == 1:
                bar.below = _terms_line(terms)
            bar.update(line, completed=progress, total=total, said=_so_far(progress, total))
            if record is not None:
                made.add(record.id)
            failure = record is not None and record.status != "finished"
            if record is not None and (failure or hidden):
                message = f"{_so_far(int(progress), total)}; {_run_line(record)}"
                errors.print(message, style="red" if failure else "")
            check()

        yield watch
    if (read_count := total - len(made)) > 0:
        how = f"; to train {'it' if total == 1 else 'all'} again: {advice}" if advice else ""
        errors.print(f"{_read_from_disk(read_count, total)}{how}")


def _read_from_disk(count: int, total: int) -> str:
    """A clause about runs that were read from disk and not trained.

    >>> _read_from_disk(1, 1), _read_from_disk(2, 9)
    ('the run was read from disk', '2 of 9 runs were read from disk')
    """
    if total == 1:
        return "the run was read from disk"
    return f"{count} of {total} runs {'was' if count == 1 else 'were'} read from disk"


def _terms_line(terms: Mapping[str, float]) -> str:
    """The line below a bar: the means of the terms of the loss since the last evaluation.

    >>> _terms_line({"task": 0.41237, "consistency": 0.03})
    'training loss: task 0.4124, consistency 0.03'
    """
    values = ", ".join(f"{printable(name)} {value:.4g}" for name, value in terms.items())
    return f"training loss: {values}"


def _so_far(completed: float, total: int) -> str:
    """The number of finished runs, with the progress of running ones if there are several.

    >>> _so_far(0.4, 1), _so_far(1.0, 1), _so_far(2.44, 9), _so_far(3.0, 9)
    ('0 of 1 run', '1 of 1 run', '2.4 of 9 runs', '3 of 9 runs')
    """
    if total == 1:
        return f"{int(completed)} of 1 run"
    return f"{f'{completed:.1f}'.removesuffix('.0')} of {total} runs"


def _run_line(record: "Record") -> str:
    from dropsmith.compare import TUNING_SEED
    from dropsmith.record import validation_loss, validation_loss_name
    from dropsmith.report import LOSSES

    seed = record.config["seed"]
    run = f"{record.config['method']}, {'a trial' if seed >= TUNING_SEED else f'seed {seed}'}"
    if record.status != "finished":
        return f"{run}: {record.status}"
    loss = validation_loss_name(record.scores)
    loss_name = LOSSES.get(loss or "", "loss")
    return f"{run}: validation {loss_name} {validation_loss(record.scores):.4f}"
