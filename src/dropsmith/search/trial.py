"""What a search did, as values: each trial, and what came of them all."""

from dataclasses import dataclass
from typing import Literal, Protocol

from dropsmith.plans import Plan
from dropsmith.search.sampler import Proposal, Told
from dropsmith.search.space import Tokens, Value

Status = Literal["running", "finished", "stopped", "failed", "lost", "interrupted"]
"""How far a trial came. `stopped`: pruned. `lost`: went down with its process or with the search,
and was tried again. `interrupted`: ended together with the search by whoever watched it."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial.

    Args:
        number: its own, in the study.
        asked: the how-manieth proposal it tries; its retries have the same.
        tokens: what was proposed, as the space counts.
        chosen: the same as values by name.
        plan: the same as a plan.
        version: how many updates the policy that proposed it had seen.
        log_probability: with which the tokens were drawn.
        seed: what its randomness was to depend on.
        retry: how many tries of the same were lost before it.
        retry_of: the number of the last of them.
        status: see `Status`.
        score: what it came to, if it finished.
        why: what went wrong, if something did.
        reports: pairs of a step and the score after it.
        seconds: how long it took, where that is known.
        worker: the machine and process that ran it, where that is known.
        told: the place in the order in which the sampler was told of it; None for lost ones.
    """

    number: int
    asked: int
    tokens: Tokens
    chosen: dict[str, Value]
    plan: Plan
    version: int = 0
    log_probability: float = 0.0
    seed: int = 0
    retry: int = 0
    retry_of: int | None = None
    status: Status = "running"
    score: float | None = None
    why: str = ""
    reports: tuple[tuple[int, float], ...] = ()
    seconds: float | None = None
    worker: str = ""
    told: int | None = None

    def for_sampler(self, sign: int) -> Told:
        """What the sampler is told of it; `sign` is −1 where lower scores are better."""
        proposal = Proposal(self.tokens, self.version, self.log_probability)
        return Told(self.asked, proposal, None if self.score is None else sign * self.score)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a search came to.

    Args:
        plan: the best one.
        score: its score.
        trials: all trials in the order they were begun, lost ones among them.
    """

    plan: Plan
    score: float
    trials: tuple[Trial, ...]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a search has come.

    Args:
        done: proposals that came to an end, those of earlier runs among them.
        total: proposals that were asked for.
        running: trials that are being run.
        best: the best trial so far.
        ended: the trial that has just ended.
        seconds_left: how long the rest will take, judged by this run; None before it ended one.
    """

    done: int
    total: int
    running: int
    best: Trial | None = None
    ended: Trial | None = None
    seconds_left: float | None = None


class Watch(Protocol):
    """Is told how far a search has come."""

    def __call__(self, progress: Progress) -> None:
        """A trial has begun or ended."""
        ...


def best_of(trials: tuple[Trial, ...] | list[Trial], sign: int) -> Trial | None:
    """The first of the best finished trials; `sign` is −1 where lower scores are better."""
    found = [(sign * trial.score, trial) for trial in trials if trial.score is not None]
    return max(found, key=lambda pair: pair[0])[1] if found else None
