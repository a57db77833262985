"""Writes that wait for the disk: what took hours to compute is not lost because it is full."""

import sys
from collections.abc import Callable
from contextlib import suppress
from time import sleep
from typing import TypeVar

from dropsmith.files.system_faults import is_temporary, system_fault

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds until a write that failed is tried again; each time twice as long, up to the longest."""


def keep_trying(
    write: Callable[[], T],
    place: object,
    *,
    temporary: Callable[[Exception], bool] = is_temporary,
    reason: Callable[[Exception], object] | None = None,
    print_line: Callable[[str], None] | None = None,
) -> T:
    """Write, however long it takes until there is room, and return what the write does.

    >>> keep_trying(lambda: 3, "runs")
    3

    Args:
        write: is called again after an error that may pass.
        place: of the writing, as it is printed.
        temporary: whether an error may pass; any other is raised.
        reason: of an error, as it is printed; the system's where None.
        print_line: is called with a line on each write that failed; it goes to standard error
            where None.
    """
    wait = FIRST_WAIT
    while True:
        try:
            return write()
        except Exception as error:
            if not temporary(error):
                raise
            why = _reason(error) if reason is None else reason(error)
        with suppress(OSError):  # standard error may lie on the same disk
            (print_line or _print_line)(f"cannot write to {place}: {why}; again in {wait:g} s")
        sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


def _reason(error: Exception) -> str:
    fault = system_fault(error)
    return str(error) if fault is None else fault.strerror or str(fault)


def _print_line(line: str) -> None:
    print(line, file=sys.stderr)
