"""Interrupts from the keyboard that Python itself may lose.

Python raises `KeyboardInterrupt` wherever the program is. Where that is a callback whose errors it
ignores, such as the one of a weak reference that the import system calls for every module, it
prints a note and goes on. A command that runs for hours would then not stop.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from types import FrameType


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], None]]:
    """Note every interrupt of the block; yield a function that raises one which was lost.

    The block raises `KeyboardInterrupt` at once where Python lets it, else at the next call of that
    function or at its end. Where interrupts are handled by somebody else, or the block runs outside
    the main thread, it changes nothing.
    """
    received = False

    def receive(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = True
        raise KeyboardInterrupt

    def check() -> None:
        if received:
            raise KeyboardInterrupt

    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_default or current_thread() is not main_thread():
        yield check
        return
    signal.signal(signal.SIGINT, receive)
    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
