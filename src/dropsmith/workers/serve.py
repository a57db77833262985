"""What runs inside a worker process: jobs, one after the other, until its pipe is closed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import Any, NoReturn

GONE = 70
"""The exit code of a worker whose parent is gone."""


class Line:
    """How a job speaks to the process that gave it.

    Called with a share, it tells how much of the job is done and goes on; `ask` waits.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, share: float) -> None:
        self._pipe.send(("told", share))

    def ask(self, question: Any) -> Any:
        """What the other side answers."""
        self._pipe.send(("asked", question))
        return self._pipe.recv()


Work = Callable[[Any, Line], Any]
"""Does one job, and may speak while it runs."""


def serve(pipe: Connection, work: Work) -> None:
    """Do jobs from `pipe` until it is closed; end at once if the parent is killed."""
    # An interrupt at the terminal reaches every process; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _let_interrupts_through()
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone: so go
        while True:
            job = pipe.recv()
            pipe.send(("began", None))
            pipe.send(("done", work(job, Line(pipe))))


@contextmanager
def interrupts_held() -> Iterator[None]:
    """No interrupt reaches a process that is started in here before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _let_interrupts_through() -> None:
    # Processes that a job starts inherit the mask, and are to be stoppable.
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _end_with_parent() -> NoReturn:
    # A job may not look at its pipe for an hour, and would compete with the run that is resumed.
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(GONE)
