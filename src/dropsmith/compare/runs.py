"""Runs spread over processes, each made once: a run whose record is on disk is not made again."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from dropsmith.compare.stored_records import CRASH_STATUS, data_hash, setup_id, stored_record
from dropsmith.errors import TrainingError
from dropsmith.record import Record
from dropsmith.train import Setup, train
from dropsmith.workers import Died, Done, JobProgress, Tell, cores, spread


class Watch(Protocol):
    """A function that is called with the progress of a list of runs."""

    def __call__(self, progress: float, total: int, record: Record | None) -> None:
        """`progress` of `total` runs are made, parts counted; `record` has just been made."""
        ...


@dataclass(frozen=True)
class Job:
    """A run and the folder that its record and checkpoints go into."""

    setup: Setup
    folder: Path


Make = Callable[[Job, Tell], Record]


def run(
    setups: Sequence[Setup],
    folder: Path,
    *,
    processes: int | None = None,
    watch: Watch | None = None,
    make: Make | None = None,
) -> list[Record]:
    """One record per setup, in order, each saved in `folder` as soon as it exists.

    A setup whose record is there already is not run again, unless that run crashed; a run that
    was interrupted goes on from its last checkpoint. A run that fails becomes a record whose
    status says why, and the others go on.

    Args:
        setups: of the runs.
        folder: where `<id>.json` and the checkpoints are kept.
        processes: the number of runs at the same time, each on one thread; as many as processors
            where None.
        watch: is called after each record and now and then in between.
        make: makes the record of a job; `dropsmith.train.train` where None.
    """
    records = {setup_id(setup): stored_record(setup, folder) for setup in setups}
    todo = {setup_id(setup): setup for setup in setups}
    jobs = [Job(setup, folder) for name, setup in todo.items() if records[name] is None]
    progress = _Progress(len(todo) - len(jobs), len(todo), [0.0] * len(jobs), watch)
    with closing(spread(make or make_record, jobs, processes or cores())) as events:
        for event in events:
            record = (
                None if isinstance(event, JobProgress) else _record(event, jobs[event.job].setup)
            )
            if record is not None:
                record.save(folder)
                records[record.id] = record
            progress.add(event, record)
    return [record for setup in setups if (record := records[setup_id(setup)]) is not None]


@dataclass(frozen=True)
class _Progress:
    """The progress of runs: the number on disk at the start, and the share of each other run."""

    on_disk: int
    total: int
    shares: list[float]
    watch: Watch | None

    def add(self, event: JobProgress | Done | Died, record: Record | None) -> None:
        self.shares[event.job] = event.share if isinstance(event, JobProgress) else 1.0
        if self.watch is not None:
            self.watch(self.on_disk + sum(self.shares), self.total, record)


def _record(event: Done | Died, setup: Setup) -> Record:
    return event.result if isinstance(event, Done) else _crash_record(setup, event)


def make_record(job: Job, tell: Tell) -> Record:
    """Train one setup on one thread; what goes wrong is the record's status, never an exception."""
    import torch

    torch.set_num_threads(1)
    try:
        return train(job.setup, job.folder / setup_id(job.setup), progress=tell)
    except TrainingError as error:
        record = _failure_record(job.setup, f"stopped: {_first_line(error)}")
        return replace(record, environment={"data_sha256": data_hash(job.setup)})
    except Exception as error:  # a comparison outlives any fault of one run
        return _failure_record(
            job.setup, f"{CRASH_STATUS}: {type(error).__name__}: {_first_line(error)}"
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def _crash_record(setup: Setup, event: Died) -> Record:
    how = f"signal {-event.code}" if event.code and event.code < 0 else f"exit code {event.code}"
    return _failure_record(setup, f"{CRASH_STATUS}: its process ended with {how}")


def _failure_record(setup: Setup, status: str) -> Record:
    return Record(config=setup.to_json(), status=status)
