"""The events of a job while a worker has it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class JobProgress:
    """Job number `job` is done to this share."""

    job: int
    share: float


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
