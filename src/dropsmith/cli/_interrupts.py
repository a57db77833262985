"""Signals that end a command in order: what runs is ended, and what is half-written goes.

Python raises `KeyboardInterrupt` wherever the program is. Where that is a callback whose errors it
ignores, such as the one of a weak reference that the import system calls for every module, it
prints a note and goes on. A command that runs for hours would then not stop. Other signals end it
at once, and leave behind what it was just writing.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
_NUMBERS = tuple(getattr(signal, name) for name in _NAMES if hasattr(signal, name))
_DEFAULTS = (signal.default_int_handler, signal.SIG_DFL)

_received: list[int] = []
"""The signals of this process, which the operating system keeps for all of it, too."""


class Ended(KeyboardInterrupt):
    """A signal came that is to end this process.

    Args:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], None]]:
    """Note every interrupt of the block; yield a function that raises one which was lost.

    The block raises `Ended`, a `KeyboardInterrupt`, at once where Python lets it, else at the next
    call of that function or at its end. A signal that is handled by somebody else, or ignored, is
    left so; outside the main thread nothing changes. Blocks may stand in each other.
    """
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    taken = [number for number, handler in before.items() if handler in _DEFAULTS]
    if _receive not in before.values() and (not taken or current_thread() is not main_thread()):
        yield lambda: None
        return
    if current_thread() is main_thread():
        for number in taken:
            signal.signal(number, _receive)
    try:
        yield _check
        _check()
    finally:
        if current_thread() is main_thread():
            for number in taken:
                signal.signal(number, before[number])
        if _receive not in before.values():
            _received.clear()


def forget() -> None:
    """Take the signals so far as answered, so that no end of a block raises them again."""
    _received.clear()


def _receive(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise Ended(number)


def _check() -> None:
    if _received:
        raise Ended(_received[0])
