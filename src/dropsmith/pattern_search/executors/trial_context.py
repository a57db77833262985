"""The trial where it runs: the context of its scoring function, and the event of its end."""

import os
import socket
from collections.abc import Callable
from inspect import signature
from math import isfinite
from time import perf_counter
from typing import Any, final

from dropsmith.errors import SearchError, excerpt
from dropsmith.pattern_search.executors.executor import (
    Job,
    Score,
    TrialEnd,
    TrialFailed,
    TrialFinished,
    TrialStopped,
)
from dropsmith.workers import is_from_outside

Ask = Callable[[tuple[int, float]], bool]
"""Hands a step and a value to the study, and waits for whether to go on."""


class TrialPruned(Exception):
    """The study has seen enough of this trial."""


class ReportLost(Exception):
    """The report of this trial is lost, and so is the trial; another try may come through."""


@final
class TrialContext:
    """The trial, to a scoring function that takes an argument called `trial`.

    Attributes:
        number: the trial's.
        seed: for its randomness, different for every proposal and the same for its retries.
        retry: the number of earlier tries of this proposal, all of them lost.
    """

    def __init__(self, job: Job, ask: Ask) -> None:
        self.number, self.seed, self.retry = job.number, job.seed, job.retry
        self._ask = ask

    def report(self, step: int, value: float) -> None:
        """Report the score after a step, such as an epoch, and wait for the study's verdict.

        Raises:
            TrialPruned: the trial is to stop; let it through.
        """
        if not self._ask((int(step), float(value))):
            raise TrialPruned(f"stopped after step {step}")


def run_trial(score: Score, job: Job, ask: Ask) -> TrialEnd:
    """Score a plan. Every end is a value, an exception of the scoring function's too."""
    trial, start, lost = TrialContext(job, ask), perf_counter(), False
    arguments = {"trial": trial} if takes_trial(score) else {}
    try:
        value = score(job.plan, **arguments)
    except TrialPruned:
        return TrialStopped(job.number, perf_counter() - start, worker_name())
    except ReportLost as error:
        seconds = perf_counter() - start
        return TrialFailed(
            job.number, str(error), retriable=True, seconds=seconds, worker=worker_name()
        )
    except Exception as error:  # a search outlives any fault of one trial
        why, lost = f"{type(error).__name__}: {_first_line(error)}", is_from_outside(error)
    else:
        why = _score_error(value)
        if not why:
            return TrialFinished(job.number, float(value), perf_counter() - start, worker_name())
    seconds = perf_counter() - start
    return TrialFailed(job.number, why, retriable=lost, seconds=seconds, worker=worker_name())


def takes_trial(score: Score) -> bool:
    """True if a scoring function takes its trial as an argument.

    >>> takes_trial(lambda plan, trial: 0.0), takes_trial(lambda plan: 0.0)
    (True, False)

    Raises:
        SearchError: it is no function of a plan.
    """
    try:
        parameters = signature(score).parameters
        wants = "trial" in parameters
        signature(score).bind(None, **({"trial": None} if wants else {}))
    except (TypeError, ValueError):
        raise SearchError(
            f"not a scoring function: {excerpt(score)}\n"
            "  write: def score(plan) or def score(plan, trial), which returns a number"
        ) from None
    return wants


def worker_name() -> str:
    """This machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _score_error(value: Any) -> str:
    try:
        return "" if isfinite(float(value)) else f"its score is {float(value)}"
    except (TypeError, ValueError, RuntimeError):  # the last: a tensor of several numbers
        return f"its score is no number but a {type(value).__name__}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
