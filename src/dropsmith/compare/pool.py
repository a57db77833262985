"""Worker processes that outlive a run's mistakes: one that dies costs its run and nothing else.

`concurrent.futures` gives up every job when one process is killed (out of memory, a fault in a
kernel). Here each worker has a pipe of its own, so the run it died with is known, and a new worker
takes its place.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

Tell = Callable[[float], None]
Work = Callable[[Any, Tell], Any]
"""Does one job, and may tell which share of it is done."""


@dataclass(frozen=True)
class Told:
    """Job number `job` is done to this share."""

    job: int
    share: float


@dataclass(frozen=True)
class Done:
    """Job number `job` came back with a result."""

    job: int
    result: Any


@dataclass(frozen=True)
class Died:
    """The process doing job number `job` ended with this code (negative: the signal)."""

    job: int
    code: int | None


_PATIENCE = 5.0
"""Seconds that a process has to end by itself."""


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spread(
    work: Work, jobs: Sequence[Any], processes: int
) -> Generator[Told | Done | Died, None, None]:
    """Do every job in one of some processes, and yield what happens as it happens.

    Closing the iterator, or an interrupt in the middle of it, ends all processes.

    Args:
        work: a function at the top of a module, as processes start by importing it.
        jobs: picklable values, begun in this order.
        processes: how many run at the same time.
    """
    waiting = iter(enumerate(jobs))
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(work, job) for job in islice(waiting, processes))
        while workers:
            for worker in _ready(workers):
                event = worker.read()
                yield event
                if not isinstance(event, Told):
                    workers.remove(worker)
                    workers += worker.go_on(work, next(waiting, None))
    finally:
        for worker in workers:
            worker.stop()


def _ready(workers: "list[_Worker]") -> "list[_Worker]":
    pipes = wait([worker.pipe for worker in workers])
    return [worker for worker in workers if worker.pipe in pipes]


class _Worker:
    """A process and the job it has."""

    def __init__(self, work: Work, job: tuple[int, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, work), daemon=True)
        self.process.start()
        theirs.close()
        self.give(job)

    def give(self, job: tuple[int, Any]) -> None:
        self.job = job[0]
        with suppress(BrokenPipeError, ConnectionResetError):  # read() then finds it dead
            self.pipe.send(job[1])

    def read(self) -> Told | Done | Died:
        try:
            share, result = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return Died(self.job, self.process.exitcode)
        return Done(self.job, result) if share is None else Told(self.job, share)

    def go_on(self, work: Work, job: tuple[int, Any] | None) -> "list[_Worker]":
        """This worker with the next job, a new one if it died, or nobody if no job is left."""
        if job is None:
            self.stop()
            return []
        if self.process.exitcode is not None:
            self.pipe.close()
            return [_Worker(work, job)]
        self.give(job)
        return [self]

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(_PATIENCE)
        self.process.kill()
        self.process.join()


def _serve(pipe: Connection, work: Work) -> None:
    # An interrupt at the terminal reaches every process; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone: so go
        while True:
            job = pipe.recv()
            pipe.send((None, work(job, lambda share: pipe.send((share, None)))))
