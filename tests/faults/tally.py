"""What came of many broken inputs: read, refused in words, or a fault."""

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import extract_tb
from types import FrameType
from typing import Any

from dropsmith.errors import DropsmithError

SECONDS = 60.0
"""The time of one case, beyond which it hangs."""


class Hang(BaseException):
    """A case took too long; no code that catches errors catches this."""


@dataclass
class Tally:
    """Counts of outcomes, and each fault with the case that shows it."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return sum(self.outcomes.values())

    def add(self, case: str, call: Callable[[], object]) -> None:
        """Make a call that may return or raise an error of the library, and nothing else."""
        outcome = outcome_of(call)
        self.outcomes[outcome.partition(":")[0]] += 1
        if outcome not in ("read", "refused"):
            self.faults.append(f"{case}\n    {outcome}")

    def to_json(self) -> dict[str, Any]:
        return {"cases": self.cases, **self.outcomes, "faults": self.faults[:100]}


def outcome_of(call: Callable[[], object]) -> str:
    """`read`, `refused`, or the kind of fault and where it was raised."""
    try:
        with time_limit(SECONDS):
            call()
    except DropsmithError as error:
        return "refused" if sentence(str(error)) else f"no sentence: {error!r}"
    except Hang:
        return f"hang: {_place(sys.exc_info()[2])}"
    except Exception as error:
        place = _place(sys.exc_info()[2])
        return f"traceback: {type(error).__name__}: {str(error)[:200]!r} at {place}"
    return "read"


def sentence(message: str) -> bool:
    """True for a message that a person may read: of some words, and not of a thousand lines."""
    return len(message.split()) >= 3 and len(message) < 4000 and "Traceback" not in message


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `Hang` in the block after so many seconds."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _place(traceback: Any) -> str:
    frames = extract_tb(traceback)
    last = ([frame for frame in frames if "/dropsmith" in frame.filename] or frames)[-1]
    return f"{last.filename.rpartition('/src/')[2]}:{last.lineno}"
