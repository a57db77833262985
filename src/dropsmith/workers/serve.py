"""What runs inside a worker process: jobs, one after the other, until its pipe is closed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import current_process, parent_process, set_start_method
from multiprocessing.connection import Connection, wait
from threading import Thread
from time import monotonic
from typing import Any, NoReturn

from dropsmith.workers.family import end_all, family_of

GONE = 70
"""The exit code of a worker whose parent is gone."""


class Line:
    """How a job speaks to the process that gave it.

    Called with a share, it tells how much of the job is done and goes on; `ask` waits.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, share: float) -> None:
        self.say("told", share)

    def ask(self, question: Any) -> Any:
        """What the other side answers."""
        self.say("asked", question)
        return self._pipe.recv()

    def say(self, kind: str, content: Any) -> None:
        """Send what happens, and when it did: by a clock that all processes of a machine share."""
        self._pipe.send((kind, content, monotonic()))


Work = Callable[[Any, Line], Any]
"""Does one job, and may speak while it runs."""


def serve(pipe: Connection, work: Work, start_method: str | None) -> None:
    """Do jobs from `pipe` until it is closed; end at once if the parent is killed.

    Args:
        pipe: to whoever gives the jobs.
        work: what does them.
        start_method: how a job's own processes start where it does not say; None for as usual.
    """
    # An interrupt at the terminal reaches every process; the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _let_interrupts_through()
    current_process().daemon = False  # one may have no children, and jobs may load data in some
    set_start_method(start_method, force=True)  # and not as this process was started
    Thread(target=_end_with_parent, daemon=True).start()
    line = Line(pipe)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone: so go
        while True:
            job = pipe.recv()
            line.say("began", None)
            line.say("done", work(job, line))


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
    try:
        end_all(family_of(os.getpid()))
    finally:
        os._exit(GONE)
