"""One trial where it runs: what the scoring function is handed, and what is made of its end."""

import os
import socket
from collections.abc import Callable
from inspect import signature
from math import isfinite
from time import perf_counter
from typing import Any, final

from dropsmith.errors import SearchError
from dropsmith.search.executor import Ended, Failed, Finished, Job, Stopped

Score = Callable[..., float]
"""`score(plan)` or `score(plan, trial)`: a validation score of a model trained under the plan."""

Ask = Callable[[tuple[int, float]], bool]
"""Hands a step and a value to the study, and waits for whether to go on."""


class Pruned(Exception):
    """The study has seen enough of this trial."""


class Unheard(Exception):
    """What this trial has asked is lost, and so is the trial; another try may be heard."""


@final
class Attempt:
    """What a scoring function may know of its trial, if it takes an argument called `trial`.

    Attributes:
        number: the trial's.
        seed: for its randomness, different for every proposal and the same for its retries.
        retry: how often this proposal was tried before, and lost.
    """

    def __init__(self, job: Job, ask: Ask) -> None:
        self.number, self.seed, self.retry = job.number, job.seed, job.retry
        self._ask = ask

    def report(self, step: int, value: float) -> None:
        """Say what the score is after a step, such as an epoch, and wait for the study's verdict.

        Raises:
            Pruned: the trial is to stop; let it through.
        """
        if not self._ask((int(step), float(value))):
            raise Pruned(f"stopped after step {step}")


def attempt(score: Score, job: Job, ask: Ask) -> Ended:
    """Score a plan. Every end is a value, an exception of the scoring function's too."""
    trial, start = Attempt(job, ask), perf_counter()
    asked = {"trial": trial} if takes_trial(score) else {}
    try:
        found = score(job.plan, **asked)
    except Pruned:
        return Stopped(job.number, perf_counter() - start, here())
    except Unheard as error:
        seconds = perf_counter() - start
        return Failed(job.number, str(error), lost=True, seconds=seconds, worker=here())
    except Exception as error:  # a search outlives any fault of one trial
        why = f"{type(error).__name__}: {_first_line(error)}"
    else:
        why = _not_a_score(found)
        if not why:
            return Finished(job.number, float(found), perf_counter() - start, here())
    return Failed(job.number, why, seconds=perf_counter() - start, worker=here())


def takes_trial(score: Score) -> bool:
    """Whether a scoring function wants to be handed its trial.

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
            f"not a scoring function: {score!r}\n"
            "  write: def score(plan) or def score(plan, trial), which returns a number"
        ) from None
    return wants


def here() -> str:
    """This machine and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _not_a_score(found: Any) -> str:
    try:
        return "" if isfinite(float(found)) else f"its score is {float(found)}"
    except (TypeError, ValueError, RuntimeError):  # the last: a tensor of several numbers
        return f"its score is no number but a {type(found).__name__}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")
