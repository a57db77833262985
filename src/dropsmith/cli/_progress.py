"""How far many runs have come, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropsmith.compare.running import Watch
    from dropsmith.record import Record


@contextmanager
def runs_bar(title: str, total: int) -> Iterator["Watch"]:
    """A bar over all runs with the time that is left; a line for each run where there is no
    terminal.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total} runs"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task(title, total=total)

        def watch(done: float, total: int, record: "Record | None") -> None:
            bar.update(line, completed=done, total=total)
            failed = record is not None and record.status != "finished"
            if record is not None and (failed or not console.is_terminal):
                said = f"{done:.1f} of {total} runs; {_said(record)}"
                console.print(said, style="red" if failed else "", highlight=False)

        yield watch


def _said(record: "Record") -> str:
    from dropsmith.compare import TUNING_SEED
    from dropsmith.record import chosen_by, validation_loss
    from dropsmith.report.numbers import LOSSES

    seed = record.config["seed"]
    run = f"{record.config['method']}, {'a trial' if seed >= TUNING_SEED else f'seed {seed}'}"
    if record.status != "finished":
        return f"{run}: {record.status}"
    loss = chosen_by(record.scores)
    called = LOSSES.get(loss or "", "loss")
    return f"{run}: validation {called} {validation_loss(record.scores):.4f}"
