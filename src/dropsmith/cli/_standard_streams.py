"""Standard output and error, which may be closed, full, or a pipe without a reader."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_CLOSED_PIPE = 141
"""The exit code if the reader of standard output has closed it: 128 + 13 (SIGPIPE)."""


class Output:
    """Standard output that keeps its first error, which buffers may raise long after a print.

    Args:
        stream: of the process; None if it is closed.

    Attributes:
        fault: the first error; None without one.
    """

    def __init__(self, stream: Any) -> None:
        self.fault: OSError | None = None
        self._stream = _with_escapes(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        with self._noting_faults():
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        """Flush the buffer."""
        with self._noting_faults():
            self._stream.flush()

    def finish(self) -> OSError | None:
        """Flush for the last time, and return the first error; None without one."""
        with suppress(OSError):
            self.flush()
        if self.fault is not None:
            _discard(self._stream)
        return self.fault

    @contextmanager
    def _noting_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.fault = self.fault or error
            raise


class _Errors:
    """Standard error, whose own errors are ignored, since they could be printed nowhere."""

    def __init__(self, stream: Any) -> None:
        self._stream = _with_escapes(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


class _ClosedStream:
    """A stream that the process started without."""

    encoding, errors = "utf-8", "backslashreplace"

    def write(self, text: str) -> int:
        raise OSError(errno.EBADF, "it is closed")

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


@contextmanager
def standard_streams() -> Iterator[Output]:
    """Provide standard streams in a `with` block, even if those of the process are closed.

    The next files that are opened would get the numbers of closed streams, and output of another
    library could be written into a study.
    """
    _open_closed_files()
    before = sys.stdout, sys.stderr
    output, errors = Output(before[0] or _ClosedStream()), before[1] or _ClosedStream()
    sys.stdout, sys.stderr = output, _Errors(errors)  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before
        try:
            errors.flush()
        except OSError:
            _discard(errors)


def report_output_fault(fault: OSError) -> int:
    """Print the error of standard output, unless its reader has closed it; the exit code."""
    if isinstance(fault, BrokenPipeError):
        return _CLOSED_PIPE
    print(
        f"error: standard output cannot be written to: {fault.strerror or fault}\n"
        "  runs, records and pages are saved: type the command again to print them",
        file=sys.stderr,
    )
    return 1


def _with_escapes(stream: Any) -> Any:
    """The stream, with escapes for characters that its encoding lacks."""
    with suppress(AttributeError):
        stream.reconfigure(errors="backslashreplace")
    return stream


def _discard(stream: Any) -> None:
    """Discard the rest of the output, about which Python would print an error at its end."""
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
