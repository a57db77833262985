"""Standard output and error, which may be closed, full, or a pipe that nobody reads."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_CLOSED_PIPE = 141
"""The exit code of a command whose reader has gone, as shells show it: 128 and the signal's 13."""


class Output:
    """Standard output that remembers its first fault, for much is written later than printed.

    Args:
        stream: of the process; None where it is closed.

    Attributes:
        fault: why not all came through.
    """

    def __init__(self, stream: Any) -> None:
        self.fault: OSError | None = None
        self._stream = _writing_anything(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, as print does."""
        with self._noting_faults():
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Let the system have all that was written."""
        with self._noting_faults():
            self._stream.flush()

    def finish(self) -> OSError | None:
        """Flush for the last time; the fault, if there was one."""
        with suppress(OSError):
            self.flush()
        if self.fault is not None:
            _leave(self._stream)
        return self.fault

    @contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = self.fault or error
            raise


class _Errors:
    """Standard error, whose faults stop nobody: there is nowhere to say them."""

    def __init__(self, stream: Any) -> None:
        self._stream = _writing_anything(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _Closed:
    """A stream of a process that was begun without it."""

    encoding, errors = "utf-8", "backslashreplace"

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


@contextmanager
def standard_streams() -> Iterator[Output]:
    """Have standard streams in a `with` block, whatever became of those of the process.

    Numbers of closed ones would be given to the next files that are opened, and what another
    library prints would then be written into a study.
    """
    _open_closed_files()
    before = sys.stdout, sys.stderr
    output, errors = Output(before[0] or _Closed()), before[1] or _Closed()
    sys.stdout, sys.stderr = output, _Errors(errors)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before
        try:
            errors.flush()
        except OSError:
            _leave(errors)


def report_output_fault(fault: OSError) -> int:
    """Say that standard output failed, but for a reader who has gone; the exit code."""
    if isinstance(fault, BrokenPipeError):
        return _CLOSED_PIPE
    print(
        f"error: standard output cannot be written to: {fault.strerror or fault}\n"
        "  runs, records and pages are kept: type the command again to read of them",
        file=sys.stderr,
    )
    return 1


def _writing_anything(stream: Any) -> Any:
    """The stream, to which a name may be written that its encoding has no signs for."""
    with suppress(AttributeError):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _leave(stream: Any) -> None:
    """Let what is still to be written go nowhere, or Python would complain of it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _open_closed_files() -> None:
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
