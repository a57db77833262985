"""Worker processes: if one dies, only its job is lost.

`concurrent.futures` gives up every job when one process is killed (out of memory, a fault in a
kernel). Here each worker has its own pipe, so the lost job is known, and a new worker replaces the
dead one.
"""

import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from itertools import islice
from multiprocessing.connection import wait
from time import monotonic
from typing import Any, Protocol

from dropsmith.errors import excerpt
from dropsmith.numbers import is_count
from dropsmith.workers.events import Died, Done, Event, JobProgress, Overdue
from dropsmith.workers.worker import Worker
from dropsmith.workers.worker_process import Work


class Tell(Protocol):
    """A function that reports the finished share of a job, and numbers by name if there are any."""

    def __call__(self, share: float, numbers: Mapping[str, float] | None = None) -> None: ...


MOST = 1024
"""The largest number of processes at the same time; each needs memory."""

_LOOK = 1.0
"""Seconds after which a silent process is checked: its children may hold its pipe open."""


def cores() -> int:
    """The number of processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_count(name: str, count: int | None, error: type[ValueError], most: int = MOST) -> None:
    """Raise `error` unless a number of processes is None or from 1 to `most`.

    >>> check_count("workers", 0, ValueError)
    Traceback (most recent call last):
    ValueError: workers is a whole number from 1 to 1024, or None for one per processor, got 0
    """
    if count is not None and not is_count(count, 1, most):
        raise error(
            f"{name} is a whole number from 1 to {most}, or None for one per processor, got "
            f"{excerpt(count)}"
        )


class Crew:
    """Processes that each do one job at a time and are kept for the next.

    A job may start processes, as a `DataLoader` does. They end when the worker is ended, or when
    the process of the crew is killed. If the worker itself is killed, they are unknown to the crew;
    those of torch notice that their parent is gone, and end after about five seconds.

    Args:
        work: a function at the top of a module, because processes import it.
        processes: the number of jobs at the same time.
        timeout: seconds after which a job's process is ended; None for no limit.
        libraries: modules that jobs need beside that of `work`. On Linux they are loaded once, for
            the first crew of this process, and not by each worker.
    """

    def __init__(
        self,
        work: Work,
        processes: int,
        *,
        timeout: float | None = None,
        libraries: Sequence[str] = (),
    ) -> None:
        self.work, self.processes, self.timeout = work, processes, timeout
        self.libraries = tuple(libraries)
        self._busy: dict[int, Worker] = {}
        self._idle: list[Worker] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def busy(self) -> int:
        """The number of running jobs."""
        return len(self._busy)

    @property
    def free(self) -> int:
        """The number of idle places for jobs."""
        return self.processes - self.busy

    def give(self, number: int, job: Any) -> None:
        """Start a job on an idle worker; its events have this `number`."""
        if not self.free:
            raise RuntimeError(f"all {self.processes} workers are busy")
        worker = self._idle_worker() or Worker(self.work, self.libraries)
        self._busy[number] = worker
        worker.give(job, self.timeout)

    def answer(self, number: int, reply: Any) -> None:
        """Answer the question of job `number`, whose time limit continues from here."""
        self._busy[number].answer(reply)

    def wait(self, timeout: float | None = None) -> list[Event]:
        """Wait for events, and return those since the last call; none after `timeout` seconds."""
        until = None if timeout is None else monotonic() + timeout
        while self._busy:
            events = self._look(_earliest([_remaining(until), self._until_overdue(), _LOOK]))
            if events or _remaining(until) == 0:
                return events
        return []

    def dismiss(self) -> None:
        """End the idle workers."""
        while self._idle:
            self._idle.pop().stop()

    def close(self) -> None:
        """End every worker, also with a running job."""
        workers = [*self._busy.values(), *self._idle]
        self._busy, self._idle = {}, []
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.stop()

    def _idle_worker(self) -> Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.process.exitcode is None:
                return worker
            worker.stop()
        return None

    def _look(self, timeout: float | None) -> list[Event]:
        wait([worker.pipe for worker in self._busy.values()], timeout)
        events = [self._read(number) for number in list(self._busy)]
        return [event for event in events if event is not None] + self._end_overdue()

    def _read(self, number: int) -> Event | None:
        worker = self._busy[number]
        event = worker.read(number)
        if isinstance(event, Done):
            self._idle.append(self._busy.pop(number))
        elif isinstance(event, Died):
            self._busy.pop(number).stop()
        return event

    def _until_overdue(self) -> float | None:
        return _remaining(_earliest([worker.due for worker in self._busy.values()]))

    def _end_overdue(self) -> list[Event]:
        now = monotonic()
        late = [number for number, worker in self._busy.items() if worker.late(now)]
        for number in late:
            self._busy.pop(number).stop()
        return [Overdue(number, self.timeout or 0.0) for number in late]


def _earliest(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _remaining(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - monotonic())


def spread(
    work: Callable[[Any, Tell], Any],
    jobs: Sequence[Any],
    processes: int,
    libraries: Sequence[str] = (),
) -> Generator[JobProgress | Done | Died, None, None]:
    """Run every job in one of several processes, and yield each event as it happens.

    Closing the iterator, or an interrupt, ends all processes.

    Args:
        work: a function at the top of a module, because processes import it.
        jobs: picklable values, started in this order.
        processes: the number of jobs at the same time.
        libraries: modules that jobs need, as in `Crew`.
    """
    waiting = iter(enumerate(jobs))
    with Crew(work, processes, libraries=libraries) as crew:
        for number, job in islice(waiting, processes):
            crew.give(number, job)
        while crew.busy:
            for event in crew.wait():
                if not isinstance(event, JobProgress | Done | Died):
                    raise TypeError(f"a job of `spread` cannot ask questions, got {event!r}")
                yield event
                if not isinstance(event, JobProgress):
                    _give_next(crew, next(waiting, None))


def _give_next(crew: Crew, job: tuple[int, Any] | None) -> None:
    if job is None:
        crew.dismiss()
    else:
        crew.give(*job)
