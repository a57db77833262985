"""The comparison itself: trials choose each method's setting, then every seed is run with it."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from dropsmith.compare.comparison import Comparison, Row, Trial
from dropsmith.compare.design import Design, best
from dropsmith.compare.method import Setting
from dropsmith.compare.runs import OTHER_FOLDER, Make, Watch, make_runs
from dropsmith.errors import TaskError
from dropsmith.files import hold_folder, keep_trying
from dropsmith.record import Record
from dropsmith.tasks import plain_name
from dropsmith.train import Setup
from dropsmith.workers import check_count


def compare(
    design: Design,
    folder: Path,
    *,
    processes: int | None = None,
    watch: Watch | None = None,
    make: Make | None = None,
    again: bool = False,
) -> Comparison:
    """Tune every method on seeds that are not reported, then run each reported seed.

    Runs whose records are in `folder` already are read, so an interrupted comparison goes on where
    it stopped, and more seeds or methods cost only what is new. The comparison itself is saved
    beside them.

    Args:
        design: the terms; see `Design`.
        folder: where records, checkpoints and `comparison.json` go.
        processes, make, again: see `runs.run`.
        watch: is called with the progress of all runs, trials and reported ones together.

    Raises:
        BusyError: another process makes runs in this folder.
        TaskError: there can be no such number of processes.
    """
    check_count("processes", processes, TaskError)
    with hold_folder(folder, OTHER_FOLDER):
        comparison = _comparison(design, _Runs(design, folder, processes, watch, make, again))
        keep_trying(partial(comparison.save, folder), folder)
    return comparison


def _comparison(design: Design, runs: "_Runs") -> Comparison:
    trial_records = runs.per_method([design.trial_setups(name) for name in design.methods])
    trials = [
        _trials(design, method, records)
        for method, records in zip(design.methods, trial_records, strict=True)
    ]
    settings = [_choice(design, *pair) for pair in zip(design.methods, trials, strict=True)]
    records = runs.per_method(
        [design.reported_setups(*pair) for pair in zip(design.methods, settings, strict=True)]
    )
    return Comparison(
        task=plain_name(design.task.name),
        equal=design.equal,
        rows=tuple(
            Row(method=method, trials=row_trials, setting=setting, records=tuple(row_records))
            for method, row_trials, setting, row_records in zip(
                design.methods, trials, settings, records, strict=True
            )
        ),
    )


def count(design: Design) -> int:
    """The number of runs a comparison makes, trials among them."""
    return sum(len(design.trial_setups(method)) + design.seeds for method in design.methods)


def _trials(design: Design, method: str, records: Sequence[Record]) -> tuple[Trial, ...]:
    if not records:
        return ()
    seeds = design.tuning_seeds
    return tuple(
        Trial(setting=setting, records=tuple(records[index * seeds : (index + 1) * seeds]))
        for index, setting in enumerate(design.settings(method))
    )


def _choice(design: Design, method: str, trials: tuple[Trial, ...]) -> Setting:
    trial = best(trials)
    return design.settings(method)[0] if trial is None else trial.setting


class _Runs:
    """Rounds of runs that share a folder and one count of progress."""

    def __init__(
        self,
        design: Design,
        folder: Path,
        processes: int | None,
        watch: Watch | None,
        make: Make | None,
        again: bool,
    ) -> None:
        self.folder, self.processes, self.watch, self.make = folder, processes, watch, make
        self.again = again
        self.total = count(design)
        self.previous = 0

    def per_method(self, setups: list[list[Setup]]) -> list[list[Record]]:
        """One round: the records of each method's setups, made in turns over the methods."""
        flat = [setup for group in setups for setup in group]
        records = iter(
            make_runs(
                flat,
                self.folder,
                processes=self.processes,
                watch=self._watch,
                make=self.make,
                again=self.again,
            )
        )
        self.previous += len(flat)
        return [list(islice(records, len(group))) for group in setups]

    def _watch(
        self, progress: float, total: int, record: Record | None, terms: Mapping[str, float]
    ) -> None:
        if self.watch is not None:
            self.watch(self.previous + progress, self.total, record, terms)
