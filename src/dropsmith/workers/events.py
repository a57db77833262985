"""The events of a job on a worker."""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dropsmith.files import is_temporary, system_fault


@dataclass(frozen=True)
class JobProgress:
    """Job number `job` has finished this share of its work.

    Args:
        numbers: numbers that the job reports, by name.
    """

    job: int
    share: float
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class JobQuestion:
    """Job number `job` asks a question and waits for the answer."""

    job: int
    question: Any


@dataclass(frozen=True)
class Done:
    """Job number `job` returned a result."""

    job: int
    result: Any


@dataclass(frozen=True)
class Died:
    """The process of job number `job` ended with this exit code (negative: a signal).

    Args:
        began: whether the job had started; False if the process could not load its modules.
    """

    job: int
    code: int | None
    began: bool = True


@dataclass(frozen=True)
class Overdue:
    """Job number `job` exceeded its time limit, so its process was ended."""

    job: int
    seconds: float


Event = JobProgress | JobQuestion | Done | Died | Overdue


TRIES = 3
"""The number of attempts at a job that is lost by a fault of the machine."""

_IN_WORDS = re.compile(
    r"can't allocate memory|not enough memory: you tried to allocate|CUDA out of memory"
    r"|DataLoader worker \(pid.*\) (is killed|exited unexpectedly)"
)
"""Messages of torch about memory and killed processes, which are plain `RuntimeError`s."""


def is_from_outside(error: BaseException) -> bool:
    """True if disk, memory or another process failed, and not the code of the job.

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
    'signal 9: killed, perhaps because memory ran out'
    """
    if code == -9:
        return "signal 9: killed, perhaps because memory ran out"
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
