"""Signals that end a command: running jobs are ended, and half-written files are removed.

Python raises `KeyboardInterrupt` at any place of a program. In a callback whose errors Python
ignores, such as that of a weak reference, which the import system calls for every module, it
prints a note and continues, so that a command of hours would not stop. Other signals would end the
process at once, and leave half-written files.
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
"""The signals that this process has received and not handled."""


class EndSignal(KeyboardInterrupt):
    """A signal to end this process.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def signals_handled() -> Iterator[Callable[[], None]]:
    """Record signals to end in a `with` block; yield a function that raises a lost one.

    The block raises `EndSignal`, a `KeyboardInterrupt`, at once if Python allows it, else at the
    next call of that function or at its end. Signals with another handler, and ignored ones, are
    left alone. Outside the main thread nothing changes. Blocks may be nested.
    """
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    replaceable = [number for number, handler in before.items() if handler in _DEFAULTS]
    if _receive not in before.values() and (
        not replaceable or current_thread() is not main_thread()
    ):
        yield lambda: None
        return
    if current_thread() is main_thread():
        for number in replaceable:
            signal.signal(number, _receive)
    try:
        yield _check
        _check()
    finally:
        if current_thread() is main_thread():
            for number in replaceable:
                signal.signal(number, before[number])
        if _receive not in before.values():
            _received.clear()


def clear_signals() -> None:
    """Treat the signals so far as handled, so that the end of a block does not raise them."""
    _received.clear()


def _receive(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise EndSignal(number)


def _check() -> None:
    if _received:
        raise EndSignal(_received[0])
