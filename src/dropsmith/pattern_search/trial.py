"""The trials of a search as values, its result, and its progress."""

from dataclasses import dataclass
from typing import Literal, Protocol

from dropsmith.pattern_search.samplers.sampler import Proposal, TrialResult
from dropsmith.pattern_search.spaces.space import Tokens, Value
from dropsmith.plans import Plan

Status = Literal["running", "finished", "stopped", "failed", "lost", "interrupted"]
"""The status of a trial. `stopped`: pruned. `lost`: its process, the search, memory or the disk
failed, and it was tried again. `interrupted`: the user ended the search."""


STORED_NAMES = {"proposal_index": "asked", "tell_order": "told"}
"""The names of two fields in studies and files, where they are kept as they first were."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One trial.

    Args:
        number: in the study.
        proposal_index: of the proposal it tries, from 0; its retries have the same.
        tokens: of the proposal.
        choices: the same as values by name.
        plan: the same as a plan.
        version: how many updates the policy that proposed it had seen.
        log_probability: with which the tokens were drawn.
        seed: of its randomness.
        retry: the number of tries of the proposal before it, all of them lost.
        retry_of: the number of the last of them.
        status: see `Status`.
        score: its score, if it finished.
        why: the fault, if there was one.
        reports: pairs of a step and the score after it.
        seconds: its duration, where that is known.
        worker: the machine and process that ran it, where that is known.
        tell_order: its index in the order in which the sampler learned of results; None for lost
            trials, of which it learned nothing.
    """

    number: int
    proposal_index: int
    tokens: Tokens
    choices: dict[str, Value]
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
    tell_order: int | None = None

    def for_sampler(self, sign: int) -> TrialResult:
        """The result as the sampler learns of it; `sign` is −1 where lower scores are better."""
        proposal = Proposal(self.tokens, self.version, self.log_probability)
        score = None if self.score is None else sign * self.score
        return TrialResult(self.proposal_index, proposal, score)


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a search.

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
    """The progress of a search.

    Args:
        done: proposals that came to an end, those of earlier runs among them.
        total: proposals that were asked for.
        running: trials that are being run.
        best: the best trial so far.
        last_trial: the trial that has just ended.
        seconds_left: the estimated time of the rest, by this run; None before its first end.
    """

    done: int
    total: int
    running: int
    best: Trial | None = None
    last_trial: Trial | None = None
    seconds_left: float | None = None


class Watch(Protocol):
    """A function that is called with the progress of a search."""

    def __call__(self, progress: Progress) -> None:
        """Called when a trial has started or ended."""
        ...


def best_of(trials: tuple[Trial, ...] | list[Trial], sign: int) -> Trial | None:
    """The first of the best finished trials; `sign` is −1 where lower scores are better."""
    pairs = [(sign * trial.score, trial) for trial in trials if trial.score is not None]
    return max(pairs, key=lambda pair: pair[0])[1] if pairs else None
