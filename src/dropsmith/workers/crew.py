"""Worker processes that outlive a job's mistakes: one that dies costs its job and nothing else.

`concurrent.futures` gives up every job when one process is killed (out of memory, a fault in a
kernel). Here each worker has a pipe of its own, so the job it died with is known, and a new worker
takes its place.

A job's time is that between what its worker has sent, however late it is read here, and without
what it waited for answers.
"""

import multiprocessing
import os
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any

from dropsmith.workers.events import Asked, Died, Done, Event, Overdue, Told
from dropsmith.workers.family import end_all, family_of
from dropsmith.workers.serve import Work, interrupts_held, serve

_PATIENCE = 5.0
"""Seconds that a process has to end by itself."""

_START = 120.0
"""Seconds beyond its time that a job has until it begins: a process imports first."""

_LOOK = 1.0
"""Seconds after which a silent process is looked at: its own children may hold its pipe open."""


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Crew:
    """Processes that each do one job at a time and are kept for the next.

    A job may start processes of its own, as a `DataLoader` does. They end with the worker, when it
    is ended or the process that holds the crew is killed. Of a worker that is itself killed nobody
    knows them any more; torch's look for their parent, and are gone after some five seconds.

    Args:
        work: a function at the top of a module, as processes start by importing it.
        processes: how many jobs run at the same time.
        timeout: seconds after which a job's process is ended; never where None.
    """

    def __init__(self, work: Work, processes: int, *, timeout: float | None = None) -> None:
        self.work, self.processes, self.timeout = work, processes, timeout
        self._busy: dict[int, _Worker] = {}
        self._idle: list[_Worker] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def busy(self) -> int:
        """How many jobs are being done."""
        return len(self._busy)

    @property
    def free(self) -> int:
        """How many more may be given."""
        return self.processes - self.busy

    def give(self, number: int, job: Any) -> None:
        """Let a free worker begin a job; `number` is how it is spoken of from now on."""
        if not self.free:
            raise RuntimeError(f"all {self.processes} workers are busy")
        worker = self._rested() or _Worker(self.work)
        self._busy[number] = worker
        worker.give(job, self.timeout)

    def answer(self, number: int, reply: Any) -> None:
        """Answer what job `number` asked; its time goes on from here."""
        self._busy[number].answer(reply)

    def wait(self, timeout: float | None = None) -> list[Event]:
        """What has happened, as soon as something has; nothing after `timeout` seconds."""
        until = None if timeout is None else monotonic() + timeout
        while self._busy:
            events = self._look(_least([_left(until), self._until_overdue(), _LOOK]))
            if events or _left(until) == 0:
                return events
        return []

    def dismiss(self) -> None:
        """End the workers that have nothing to do."""
        while self._idle:
            self._idle.pop().stop()

    def close(self) -> None:
        """End every worker, whatever it is doing."""
        workers = [*self._busy.values(), *self._idle]
        self._busy, self._idle = {}, []
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.stop()

    def _rested(self) -> "_Worker | None":
        while self._idle:
            worker = self._idle.pop()
            if worker.process.exitcode is None:
                return worker
            worker.stop()
        return None

    def _look(self, timeout: float | None) -> list[Event]:
        wait([worker.pipe for worker in self._busy.values()], timeout)
        heard = [self._read(number) for number in list(self._busy)]
        return [event for event in heard if event is not None] + self._end_overdue()

    def _read(self, number: int) -> Event | None:
        worker = self._busy[number]
        event = worker.read(number)
        if isinstance(event, Done):
            self._idle.append(self._busy.pop(number))
        elif isinstance(event, Died):
            self._busy.pop(number).stop()
        return event

    def _until_overdue(self) -> float | None:
        return _left(_least([worker.due for worker in self._busy.values()]))

    def _end_overdue(self) -> list[Event]:
        now = monotonic()
        late = [number for number, worker in self._busy.items() if worker.late(now)]
        for number in late:
            self._busy.pop(number).stop()
        return [Overdue(number, self.timeout or 0.0) for number in late]


class _Worker:
    """A process, its pipe, and until when its job may take."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        told = (theirs, work, multiprocessing.get_start_method(allow_none=True))
        self.process: BaseProcess = context.Process(target=serve, args=told, daemon=True)
        with interrupts_held():
            self.process.start()
        theirs.close()
        self.began, self.due, self.left = False, None, None
        self.said, self.family = monotonic(), []

    def give(self, job: Any, timeout: float | None) -> None:
        self.timeout, self.began, self.said = timeout, False, monotonic()
        self.due = None if timeout is None else self.said + timeout + _START
        self.send(job)

    def answer(self, reply: Any) -> None:
        self.due = None if self.left is None else monotonic() + self.left
        self.send(reply)

    def send(self, message: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # read() then finds it dead
            self.pipe.send(message)

    def read(self, number: int) -> Event | None:
        code = self.process.exitcode  # asked first: what it sent before it ended is then there
        try:
            if not self.pipe.poll():
                return None if code is None else Died(number, code, self.began)
            kind, content, self.said = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return Died(number, self.process.exitcode, self.began)
        if kind == "began":
            self.began = True
            self.due = None if self.timeout is None else self.said + self.timeout
            return None
        if kind == "asked":  # how long it waits for an answer is not its fault
            self.left = None if self.due is None else max(0.0, self.due - self.said)
            self.due = None
        return {"told": Told, "asked": Asked, "done": Done}[kind](number, content)

    def late(self, now: float) -> bool:
        """Whether its time is over, and all is read that it has sent before."""
        if self.due is None or self.due > now:
            return False
        return self.said > self.due or not self.pipe.poll()

    def end(self) -> None:
        """Ask it to end; it need not have when this returns."""
        if self.process.exitcode is None:
            self.family += family_of(self.process.pid)
        self.process.terminate()

    def stop(self) -> None:
        self.pipe.close()
        self.end()
        self.process.join(_PATIENCE)
        self.process.kill()
        self.process.join()
        end_all(self.family)


def _least(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - monotonic())
