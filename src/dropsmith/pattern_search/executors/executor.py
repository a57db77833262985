"""An executor: it runs trials of plans, and returns what happens in each as events."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from dropsmith.errors import SearchError, excerpt
from dropsmith.plans import Plan
from dropsmith.workers import MOST, check_count

Score = Callable[..., float]
"""`score(plan)` or `score(plan, trial)`: a validation score of a model trained under the plan."""


@dataclass(frozen=True)
class Job:
    """One trial to run.

    Args:
        number: the trial's, by which events refer to it.
        plan: to score.
        seed: for the trial's randomness; a retry has the same.
        retry: the number of tries before this one, all of them lost.
    """

    number: int
    plan: Plan
    seed: int
    retry: int = 0


@dataclass(frozen=True)
class ScoreReport:
    """Trial `number` has this score after `step`, and waits whether to continue."""

    number: int
    step: int
    value: float


@dataclass(frozen=True)
class TrialFinished:
    """Trial `number` came to its end.

    Args:
        number: the trial's.
        score: its return value, a finite number.
        seconds: its duration.
        worker: the machine and the process that ran it.
    """

    number: int
    score: float
    seconds: float
    worker: str = ""


@dataclass(frozen=True)
class TrialStopped:
    """Trial `number` was stopped without a score."""

    number: int
    seconds: float
    worker: str = ""


@dataclass(frozen=True)
class TrialFailed:
    """Trial `number` failed.

    Args:
        number: the trial's.
        why: the reason, in one line.
        retriable: whether the fault came from outside, such as from its process, memory or disk,
            so that another try may succeed.
        seconds: its duration, where that is known.
        worker: the machine and the process that ran it, where that is known.
    """

    number: int
    why: str
    retriable: bool = False
    seconds: float | None = None
    worker: str = ""


TrialEnd = TrialFinished | TrialStopped | TrialFailed
Event = ScoreReport | TrialEnd


class Executor(ABC):
    """Runs several trials at the same time; a fault in a trial is an event and not an error.

    At the end of its `with` block every trial is ended. A search sets its own scoring
    function, whichever one the executor was made with.

    Attributes:
        slots: the number of trials it runs at the same time.
    """

    slots: int

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def set_score(self, score: Score) -> None:
        """Score plans by this function from now on; called while no trial runs.

        Raises:
            SearchError: the function cannot run where this executor's trials do.
        """

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Begin a trial; at most `slots` may be running."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> list[Event]:
        """The events since the last call, as soon as there is one; none after `timeout` seconds."""

    @abstractmethod
    def answer(self, number: int, go_on: bool) -> None:
        """Tell a trial that has reported whether to go on; otherwise it is stopped."""

    @abstractmethod
    def close(self) -> None:
        """End every trial and free what was taken."""


LONGEST = 1e9
"""The longest time of a trial in seconds: some thirty years."""

MOST_REMOTE = 100_000
"""The largest number of trials at the same time on the machines of a cluster."""


def check_limits(workers: int | None, timeout: float | None, most: int = MOST) -> None:
    """Check the number of workers and the seconds of a trial.

    Raises:
        SearchError: there can be no such number.
    """
    check_count("workers", workers, SearchError, most)
    number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (number and 0 < timeout <= LONGEST):
        raise SearchError(
            f"timeout is a number of seconds above 0 and at most {LONGEST:g}, or None for no "
            f"limit, got {excerpt(timeout)}"
        )
