"""The inside of a worker process: it does jobs, one after the other, until its pipe is closed."""

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
"""The exit code of a worker whose parent is gone."""


class Line:
    """The line of a job to the process that gave it.

    A call with a share sends how much of the job is done, and numbers by name where there are
    some, and goes on; `ask` waits for an answer.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, share: float, numbers: Mapping[str, float] | None = None) -> None:
        self.send("progress", (share, dict(numbers or {})))

    def ask(self, question: Any) -> Any:
        """Ask the other side, and wait for its answer."""
        self.send("question", question)
        return self._pipe.recv()

    def send(self, kind: str, content: Any) -> None:
        """Send an event with its time, by a clock that all processes of a machine share."""
        self._pipe.send((kind, content, monotonic()))


Work = Callable[[Any, Line], Any]
"""Does one job, and may speak while it runs."""


def serve(
    modules: SentModules,
    pipe: Connection,
    work: Work,
    start_method: str | None,
    environment: Mapping[str, str],
) -> None:
    """Do jobs from `pipe` until it is closed; end at once if the parent is killed.

    Args:
        modules: of the user's own code, of whose objects `work` and jobs may be made. They come
            first, since they are imported as they are unpickled.
        pipe: to whoever gives the jobs.
        work: does one.
        start_method: how a job's own processes start where it does not say; None for the default.
        environment: the variables of the parent, which may have set some since its first worker.
    """
    # An interrupt at the terminal reaches every process; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _let_interrupts_through()
    os.environ.clear()
    os.environ.update(environment)
    current_process().daemon = False  # a daemon has no children, and jobs may load data in some
    set_start_method(start_method, force=True)  # and not as this process was started
    Thread(target=_end_with_parent, daemon=True).start()
    line = Line(pipe)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone: so go
        while True:
            job = pipe.recv()
            line.send("begin", None)
            line.send("done", work(job, line))


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold interrupts back from a process that is started in here until it can ignore them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _let_interrupts_through() -> None:
    # Processes that a job starts inherit the mask, and are to be stoppable.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_with_parent() -> NoReturn:
    # A job may not look at its pipe for an hour, and would compete with the run that is resumed.
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    try:
        end_all(descendants_of(os.getpid()))
    finally:
        os._exit(GONE)


def descendants_of(process: int | None) -> list[psutil.Process]:
    """The children of a process and theirs, while it lives: later nobody knows whose they were."""
    with suppress(psutil.Error):
        return psutil.Process(process).children(recursive=True)
    return []


def end_all(processes: Iterable[psutil.Process]) -> None:
    """End each at once; another process that has got its number since is left alone."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
