"""What runs trials: it is handed plans, and says what became of each."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from dropsmith.plans import Plan


@dataclass(frozen=True)
class Job:
    """One trial to run.

    Args:
        number: the trial's, and how it is spoken of from now on.
        plan: what to score.
        seed: what the trial's own randomness should depend on; a retry has the same.
        retry: how often the same was tried before, and lost.
    """

    number: int
    plan: Plan
    seed: int
    retry: int = 0


@dataclass(frozen=True)
class Reported:
    """Trial `number` has this score after `step`, and waits to be told whether to go on."""

    number: int
    step: int
    value: float


@dataclass(frozen=True)
class Finished:
    """Trial `number` came to its end.

    Args:
        number: the trial's.
        score: what it returned, a finite number.
        seconds: how long it took.
        worker: the machine and the process that ran it.
    """

    number: int
    score: float
    seconds: float
    worker: str = ""


@dataclass(frozen=True)
class Stopped:
    """Trial `number` ended where it was told to, without a score."""

    number: int
    seconds: float
    worker: str = ""


@dataclass(frozen=True)
class Failed:
    """Trial `number` came to nothing.

    Args:
        number: the trial's.
        why: in a line.
        lost: whether it went down with its process, so that another try may well succeed.
        seconds: how long it took, where that is known.
        worker: the machine and the process that ran it, where that is known.
    """

    number: int
    why: str
    lost: bool = False
    seconds: float | None = None
    worker: str = ""


Ended = Finished | Stopped | Failed
Event = Reported | Ended


class Executor(ABC):
    """Runs several trials at the same time; whatever goes wrong in one is an event, not an error.

    Used in a `with` block, at whose end every trial is ended, too.

    Attributes:
        slots: how many trials it runs at the same time.
    """

    slots: int

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Begin a trial; at most `slots` may be running."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> list[Event]:
        """What has happened, as soon as something has; nothing after `timeout` seconds."""

    @abstractmethod
    def answer(self, number: int, go_on: bool) -> None:
        """Tell a trial that has reported whether to go on; otherwise it is stopped."""

    @abstractmethod
    def close(self) -> None:
        """End every trial and free what was taken."""
