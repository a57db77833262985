"""Runs spread over processes, each made once: a run whose record is on disk is not made again."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from dropsmith.compare.stored_records import (
    CRASH_STATUS,
    LOST_STATUS,
    data_hash,
    is_lost,
    model_sha256,
    setup_id,
    stored_record,
    unlabelled_hash,
)
from dropsmith.errors import TaskError, TrackerError, TrainingError
from dropsmith.files import hold_folder, keep_trying
from dropsmith.record import Record
from dropsmith.train import LIBRARIES, Setup, code_hash, train
from dropsmith.user_code import user_fault
from dropsmith.workers import (
    TRIES,
    Died,
    Done,
    JobProgress,
    Tell,
    check_count,
    cores,
    exit_reason,
    is_from_outside,
    spread,
)

NO_TERMS: Mapping[str, float] = {}

OTHER_FOLDER = "wait for it, or keep these runs apart: --out DIR"
"""What to do where another process makes runs in a folder."""


class Watch(Protocol):
    """A function that is called with the progress of a list of runs."""

    def __call__(
        self, progress: float, total: int, record: Record | None, terms: Mapping[str, float]
    ) -> None:
        """`progress` of `total` runs are made, parts counted.

        `record` has just been made, or is that of a lost run, which will be made again. Without
        one, `terms` are the means of the terms of the loss of the run that went on, since its last
        evaluation.
        """
        ...


@dataclass(frozen=True)
class Job:
    """A run and the folder that its record and checkpoints go into.

    Args:
        setup: of the run.
        folder: for its files.
        again: whether it begins anew, whatever is in the folder.
    """

    setup: Setup
    folder: Path
    again: bool = False


Make = Callable[[Job, Tell], "Record | TrackerError"]
"""Makes the record of a job; a tracker that does not start is the error itself."""


def run(
    setups: Sequence[Setup],
    folder: Path,
    *,
    processes: int | None = None,
    watch: Watch | None = None,
    make: Make | None = None,
    again: bool = False,
) -> list[Record]:
    """Train the runs of some setups, and return their records in order.

    Each record is saved in `folder` as soon as it exists. A setup with a record is not trained
    again, unless that run crashed or was lost. An interrupted run continues from its last
    checkpoint. A run that fails gets a record whose status has the reason, and the others continue.
    A run that is lost by a fault from outside (its process is killed, memory or a disk fails) is
    repeated after the others, with half as many at the same time, up to three times in all.

    Args:
        setups: of the runs.
        folder: where `<id>.json` and the checkpoints are kept.
        processes: the number of runs at the same time, each on one thread; as many as processors
            where None.
        watch: is called after each record and now and then in between.
        make: makes the record of a job; `dropsmith.train.train` where None.
        again: whether to make every run, in place of those whose records are there.

    Raises:
        BusyError: another process makes runs in this folder, and there are some to make.
        TaskError: there can be no such number of processes.
        TrackerError: a tracker of a run does not start.
    """
    check_count("processes", processes, TaskError)
    records = [None if again else stored_record(setup, folder) for setup in setups]
    if all(record is not None for record in records):
        return [record for record in records if record is not None]
    with hold_folder(folder, OTHER_FOLDER):
        return make_runs(setups, folder, processes=processes, watch=watch, make=make, again=again)


def make_runs(
    setups: Sequence[Setup],
    folder: Path,
    *,
    processes: int | None,
    watch: Watch | None,
    make: Make | None,
    again: bool = False,
) -> list[Record]:
    """The same as `run`, in a folder that this process has locked."""
    records = {setup_id(setup): None if again else stored_record(setup, folder) for setup in setups}
    todo = {setup_id(setup): setup for setup in setups}
    jobs = [Job(setup, folder, again) for name, setup in todo.items() if records[name] is None]
    progress = _Progress(len(todo) - len(jobs), len(todo), {}, watch)
    workers = processes or cores()
    for attempt in range(1, TRIES + 1):
        lost: list[Job] = []
        with closing(spread(make or make_record, jobs, workers, LIBRARIES)) as events:
            for event in events:
                job = jobs[event.job]
                if isinstance(event, JobProgress):
                    progress.add(job, event.share, None, event.numbers)
                    continue
                record = _record(event, job.setup)
                if is_lost(record) and attempt < TRIES:
                    lost.append(job)
                    status = f"{record.status}; it will be repeated"
                    progress.add(job, 0.0, replace(record, status=status))
                    continue
                keep_trying(partial(record.save, folder), folder)
                records[record.id] = record
                progress.add(job, 1.0, record)
        # Memory may have been short: fewer at the same time need less.
        jobs, workers = lost, max(1, workers // 2)
        if not jobs:
            break
    return [record for setup in setups if (record := records[setup_id(setup)]) is not None]


@dataclass(frozen=True)
class _Progress:
    """The progress of runs: the number on disk at the start, and the share of each other run."""

    on_disk: int
    total: int
    shares: dict[str, float]
    watch: Watch | None

    def add(
        self, job: Job, share: float, record: Record | None, terms: Mapping[str, float] = NO_TERMS
    ) -> None:
        self.shares[setup_id(job.setup)] = share
        if self.watch is not None:
            self.watch(self.on_disk + sum(self.shares.values()), self.total, record, terms)


def _record(event: Done | Died, setup: Setup) -> Record:
    if isinstance(event, Died) and event.code == 1 and not event.began:
        raise TaskError(
            "a run cannot be loaded in another process; the error is above\n"
            "  put what starts the runs in a file, under\n"
            '  if __name__ == "__main__":'
        )
    if isinstance(event, Died):
        return _lost_record(setup, event)
    if isinstance(event.result, TrackerError):
        raise event.result
    return event.result


def make_record(job: Job, tell: Tell, trackers: Sequence[Any] = ()) -> Record | TrackerError:
    """Train one setup on one thread; the status of the record holds any error.

    A tracker that does not start is no fault of the run, whose earlier record stays.
    """
    import torch

    torch.set_num_threads(1)
    try:
        terms: dict[str, float] = {}
        return train(
            job.setup,
            job.folder / setup_id(job.setup),
            resume=not job.again,
            progress=lambda share: tell(share, dict(terms)),
            on_terms=terms.update,
            trackers=trackers,
        )
    except TrackerError as error:
        return error
    except TrainingError as error:  # a number of its own, such as a loss that is not finite
        record = _failure_record(job.setup, f"stopped: {_first_line(error)}")
        hashes = {
            "data_sha256": data_hash(job.setup),
            "model_sha256": model_sha256(job.setup),
            "code_sha256": code_hash(job.setup),
            "unlabelled_sha256": unlabelled_hash(job.setup) if job.setup.unlabelled else None,
        }
        known = {name: value for name, value in hashes.items() if value is not None}
        return replace(record, environment=known)
    except Exception as error:  # a comparison outlives any fault of one run
        kind = LOST_STATUS if is_from_outside(error) else CRASH_STATUS
        place = user_fault(error)
        reason = f"{type(error).__name__}: {_first_line(error)}" + (f" ({place})" if place else "")
        return _failure_record(job.setup, f"{kind}: {reason}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


def _lost_record(setup: Setup, event: Died) -> Record:
    return _failure_record(
        setup, f"{LOST_STATUS}: its process ended with {exit_reason(event.code)}"
    )


def _failure_record(setup: Setup, status: str) -> Record:
    return Record(config=setup.to_json(), status=status)
