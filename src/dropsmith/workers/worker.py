"""A worker process on the side of its crew: its pipe, and the time limit of its job.

The time of a job is measured between the messages of its worker, even if they are read late, and
without its waits for answers.
"""

import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any

from dropsmith.user_code import SentModules
from dropsmith.workers.events import Died, Done, Event, JobProgress, JobQuestion
from dropsmith.workers.temporary_folder import folder_of_process
from dropsmith.workers.worker_process import (
    Work,
    descendants_of,
    end_all,
    interrupts_held,
    serve,
)

_END_TIMEOUT = 5.0
"""Seconds that a process gets to end by itself."""

_START_TIMEOUT = 120.0
"""Seconds that a job gets before it starts, beyond its limit, for the imports of its process."""

_EVENTS = {"question": JobQuestion, "done": Done}


def _context(work: Work, libraries: Sequence[str]) -> BaseContext:
    """The way to start processes: on Linux, forks of a process that has loaded the libraries.

    That process starts with the first worker. On other systems, and if it cannot be started, each
    process loads the libraries anew.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    function = work.func if isinstance(work, partial) else work
    # Not `__main__`, which may run code: each process loads it itself.
    modules = [__name__, *{function.__module__} - {"__main__"}, *libraries]
    context.set_forkserver_preload(modules)
    try:
        with interrupts_held(), _installed_modules_alone(), folder_of_process():
            forkserver.ensure_running()
    except OSError as error:  # such as that of a folder for temporary files with a long name
        print(f"dropsmith: each worker loads its libraries itself: {error}", file=sys.stderr)
        return multiprocessing.get_context("spawn")
    return context


@contextmanager
def _installed_modules_alone() -> Iterator[None]:
    """Processes of Python that start in the block do not import from the working directory.

    A file there may have the name of a library, and all workers would run it.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _start(context: Any, arguments: tuple[Any, ...]) -> BaseProcess:
    process = context.Process(target=serve, args=arguments, daemon=True)
    with interrupts_held():
        process.start()
    return process


class Worker:
    """A process, its pipe, and the deadline of its job.

    Args:
        work: runs one job.
        libraries: modules that jobs need beside that of `work`.
    """

    def __init__(self, work: Work, libraries: Sequence[str] = ()) -> None:
        context = _context(work, libraries)
        self.pipe, far_end = context.Pipe()
        start_method = multiprocessing.get_start_method(allow_none=True)
        modules = SentModules.of_this_process()
        arguments = modules, far_end, work, start_method, dict(os.environ)
        try:
            self.process = _start(context, arguments)
        except (EOFError, ConnectionError) as error:  # the process that is forked has died
            print(f"dropsmith: a worker loads its libraries itself: {error!r}", file=sys.stderr)
            self.process = _start(multiprocessing.get_context("spawn"), arguments)
        far_end.close()
        self.began, self.due, self.time_left = False, None, None
        self.sent_at, self.descendants = monotonic(), []

    def give(self, job: Any, timeout: float | None) -> None:
        self.timeout, self.began, self.sent_at = timeout, False, monotonic()
        self.due = None if timeout is None else self.sent_at + timeout + _START_TIMEOUT
        self.send(job)

    def answer(self, reply: Any) -> None:
        self.due = None if self.time_left is None else monotonic() + self.time_left
        self.send(reply)

    def send(self, message: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # `read` then sees that it is dead
            self.pipe.send(message)

    def read(self, number: int) -> Event | None:
        code = (
            self.process.exitcode
        )  # read before: the pipe then has all messages from before its end
        try:
            if not self.pipe.poll():
                return None if code is None else Died(number, code, self.began)
            kind, content, self.sent_at = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            return Died(number, self.process.exitcode, self.began)
        if kind == "begin":
            self.began = True
            self.due = None if self.timeout is None else self.sent_at + self.timeout
            return None
        if kind == "question":  # its wait for an answer does not count
            self.time_left = None if self.due is None else max(0.0, self.due - self.sent_at)
            self.due = None
        if kind == "progress":
            return JobProgress(number, *content)
        return _EVENTS[kind](number, content)

    def late(self, now: float) -> bool:
        """True if its deadline is over, and all its earlier messages are read."""
        if self.due is None or self.due > now:
            return False
        return self.sent_at > self.due or not self.pipe.poll()

    def end(self) -> None:
        """Ask the process to end, without waiting."""
        if self.process.exitcode is None:
            self.descendants += descendants_of(self.process.pid)
        self.process.terminate()

    def stop(self) -> None:
        self.pipe.close()
        self.end()
        self.process.join(_END_TIMEOUT)
        self.process.kill()
        self.process.join()
        end_all(self.descendants)
