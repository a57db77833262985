"""The code of a worker process, which runs jobs one after the other until its pipe is closed."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import current_process, parent_process, set_start_method
from multiprocessing.connection import Connection, wait
from threading import Thread
from time import monotonic
from typing import Any, NoReturn

import psutil

from dropsmith.user_code import SentModules

GONE = 70
"""The exit code of a worker whose parent has ended."""


class Line:
    """The connection of a job to the process of its crew.

    A call sends the finished share of the job, and numbers by name if there are any; `ask` waits
    for an answer.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, share: float, numbers: Mapping[str, float] | None = None) -> None:
        self.send("progress", (share, dict(numbers or {})))

    def ask(self, question: Any) -> Any:
        """Send a question, and wait for its answer."""
        self.send("question", question)
        return self._pipe.recv()

    def send(self, kind: str, content: Any) -> None:
        """Send an event with its time, by the clock that all processes of a machine share."""
        self._pipe.send((kind, content, monotonic()))


Work = Callable[[Any, Line], Any]
"""Runs one job, which may use its connection."""


def serve(
    modules: SentModules,
    pipe: Connection,
    work: Work,
    start_method: str | None,
    environment: Mapping[str, str],
) -> None:
    """Run jobs from `pipe` until it is closed; end at once if the parent is killed.

    Args:
        modules: the modules of the user's code that `work` and jobs need. They are the first
            argument because unpickling imports them.
        pipe: the connection to the crew.
        work: runs one job.
        start_method: the default way in which a job's own processes start; None for Python's.
        environment: the environment variables of the parent.
    """
    # An interrupt at the terminal reaches every process, but the parent handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _let_interrupts_through()
    os.environ.clear()
    os.environ.update(environment)
    current_process().daemon = False  # a daemon may not start processes, and jobs may
    set_start_method(start_method, force=True)  # not the method of this process
    Thread(target=_end_with_parent, daemon=True).start()
    line = Line(pipe)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has ended
        while True:
            job = pipe.recv()
            line.send("begin", None)
            line.send("done", work(job, line))


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Block interrupts for a process that starts in the block until it can ignore them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _let_interrupts_through() -> None:
    # Processes of a job inherit the mask of signals, and must be stoppable.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_with_parent() -> NoReturn:
    # A job may not use its pipe for an hour, and would run beside its own resumed run.
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    try:
        end_all(descendants_of(os.getpid()))
    finally:
        os._exit(GONE)


def descendants_of(process: int | None) -> list[psutil.Process]:
    """The descendants of a process, which are unknown once it has ended."""
    with suppress(psutil.Error):
        return psutil.Process(process).children(recursive=True)
    return []


def end_all(processes: Iterable[psutil.Process]) -> None:
    """Kill each process; a later process with the same number is left alone."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
