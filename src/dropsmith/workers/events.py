"""The events of a job while a worker has it."""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dropsmith.files import is_temporary, system_fault


@dataclass(frozen=True)
class JobProgress:
    """Job number `job` is done to this share.

    Args:
        numbers: what it says of itself, by name.
    """

    job: int
    share: float
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class JobQuestion:
    """Job number `job` asks a question, and waits for the answer."""

    job: int
    question: Any


@dataclass(frozen=True)
class Done:
    """Job number `job` came back with a result."""

    job: int
    result: Any


@dataclass(frozen=True)
class Died:
    """The process doing job number `job` ended with this code (negative: the signal).

    Args:
        began: whether it had begun the job, rather than failed to load what the job needs.
    """

    job: int
    code: int | None
    began: bool = True


@dataclass(frozen=True)
class Overdue:
    """Job number `job` took longer than it may, so its process was ended."""

    job: int
    seconds: float


Event = JobProgress | JobQuestion | Done | Died | Overdue


TRIES = 3
"""The number of times a job is begun that was lost by a fault from outside."""

_IN_WORDS = re.compile(
    r"can't allocate memory|not enough memory: you tried to allocate|CUDA out of memory"
    r"|DataLoader worker \(pid.*\) (is killed|exited unexpectedly)"
)
"""What torch says of memory and of killed processes in a plain `RuntimeError`."""


def is_from_outside(error: BaseException) -> bool:
    """True if the disk, the memory or another process failed, and not the code that was run.

    >>> is_from_outside(MemoryError()), is_from_outside(ZeroDivisionError())
    (True, False)
    """
    import torch

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.OutOfMemoryError):
            return True
        if isinstance(cause, RuntimeError) and _IN_WORDS.search(str(cause)):
            return True
        cause = cause.__cause__
    fault = system_fault(error)
    return is_temporary(error) or (fault is not None and fault.errno == errno.EROFS)


def exit_reason(code: int | None) -> str:
    """The exit code of a process in words (negative: the signal).

    >>> exit_reason(-9)
    'signal 9: killed, perhaps for want of memory'
    """
    if code == -9:
        return "signal 9: killed, perhaps for want of memory"
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
