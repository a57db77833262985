"""Two analyses of searches: samplers compared on a table of scores, and the noise of a score.

The cost of a search is training. If every plan of a space has been trained once, a search over it
only reads a table, and can be repeated with many seeds.

A search can only optimise the part of a score that depends on the plan. The scores of several
plans, each trained with several seeds, separate it from the part of the seed (one-way analysis of
variance with random plans; Searle, Casella & McCulloch 1992, "Variance Components", chapter 3,
with the exact intervals there).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dropsmith.errors import SearchError, excerpt
from dropsmith.numbers import check_number
from dropsmith.pattern_search.samplers.sampler import Sampler, TrialResult
from dropsmith.pattern_search.spaces.space import Space, Tokens

SamplerFactory = Callable[[Space, int], Sampler]
"""Makes a sampler of a space and a seed."""

Table = Mapping[Tokens, float]
"""The score of each plan that was trained; higher is better."""

BestScores = tuple[float, ...]
"""The best score so far, after each trial."""


def replay(
    space: Space, table: Table, make_sampler: SamplerFactory, *, trials: int, seed: int = 0
) -> BestScores:
    """Search a table once.

    >>> from dropsmith.pattern_search import Choice, ListedSpace, RandomSampler
    >>> space = ListedSpace((Choice("a", (1, 2, 3)),), ())
    >>> table = {(0,): 0.1, (1,): 0.3, (2,): 0.2}
    >>> replay(space, table, lambda space, seed: RandomSampler(space, seed=seed), trials=20)[-1]
    0.3

    A proposal outside the table is a trial without a score, and does not count.

    Args:
        space: the space of the sampler.
        table: the scores.
        make_sampler: makes the sampler.
        trials: how many proposals with a score there are.
        seed: the sampler's.

    Raises:
        SearchError: the table has tokens that the space lacks, or too few plans for the trials.
    """
    for tokens in table:
        space.check(tokens)
    sampler, best = make_sampler(space, seed), list[float]()
    for number in range(trials + _MAX_OUTSIDE):
        proposal = sampler.ask(number)
        score = table.get(proposal.tokens)
        sampler.tell(TrialResult(number, proposal, score))
        if score is not None:
            best.append(max([score, *best[-1:]]))
        if len(best) == trials:
            return tuple(best)
    raise SearchError(
        f"{len(best)} of {trials} trials had a score: the table holds {len(table)} of the "
        f"{space.size} plans of the space\n  train more of them, or ask for fewer trials"
    )


_MAX_OUTSIDE = 5000
"""The number of proposals that may lie outside of a table."""


def random_order(table: Table, *, trials: int, seed: int = 0) -> BestScores:
    """The plans of a table in a random order: random search that never tries one twice."""
    scores = list(table.values())
    if trials > len(scores):
        raise SearchError(f"{trials} trials of a table of {len(scores)} plans")
    order = np.random.default_rng(seed).permutation(scores)[:trials]
    return tuple(np.maximum.accumulate(order).tolist())


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The searches of one sampler from many seeds.

    Args:
        name: the sampler's.
        best_scores: for each seed, the best score after each trial.
    """

    name: str
    best_scores: tuple[BestScores, ...]

    def at(self, share: float) -> BestScores:
        """After each trial, the score that this share of the searches has not passed."""
        return tuple(np.quantile(np.array(self.best_scores), share, axis=0).tolist())

    @property
    def median(self) -> BestScores:
        """After each trial, the best score of the search in the middle."""
        return self.at(0.5)

    def trials_to_reach(self, score: float) -> int | None:
        """The number of trials until the median reaches a score; None where it never does."""
        return first_trial(self.median, score)

    def each_trials_to_reach(self, score: float) -> tuple[int | None, ...]:
        """The same for each search."""
        return tuple(first_trial(curve, score) for curve in self.best_scores)

    def to_json(self, bands: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9)) -> dict[str, Any]:
        """Its bands as JSON values."""
        rows = {f"{share:g}": [round(score, 6) for score in self.at(share)] for share in bands}
        return {"name": self.name, "searches": len(self.best_scores), "bands": rows}


def first_trial(curve: BestScores, score: float) -> int | None:
    """The number of trials until a score is reached; None where it never is.

    >>> first_trial((0.1, 0.4, 0.4), 0.3)
    2
    """
    return next((number for number, best in enumerate(curve, start=1) if best >= score), None)


@dataclass(frozen=True, kw_only=True)
class ScoreNoise:
    """The sources of the variance of scores.

    Args:
        plans, seeds: the number of plans trained, and of seeds for each.
        between: standard deviation of plans' mean scores, the noise of seeds subtracted; 0 where
            the seeds explain all of it.
        within: standard deviation of one plan's score from seed to seed.
        share: of noise in the variance of a score of one seed.
        low, high: a 95 % interval of that share.
    """

    plans: int
    seeds: int
    between: float
    within: float
    share: float
    low: float
    high: float

    def seeds_for(self, share: float) -> float:
        """The number of seeds to average a score over for noise to be this share of it."""
        if self.share >= 1:
            return float("inf")
        return max(1.0, self.share / (1 - self.share) * (1 - share) / share)


def score_noise(scores: Sequence[Sequence[float]], level: float = 0.95) -> ScoreNoise:
    """Separate the variance of scores `[plan][seed]` by its sources.

    >>> noise = score_noise([[0.1, 0.2], [0.9, 0.8], [0.5, 0.6]])
    >>> round(noise.within, 3), round(noise.share, 3)
    (0.071, 0.04)

    Raises:
        SearchError: there are fewer than two plans or seeds, or not as many seeds of each plan.
    """
    from scipy import stats

    check_number("level", level, SearchError, most=1)
    if level in (0, 1):
        raise SearchError(f"level is between 0 and 1, such as 0.95, got {level}")
    table = _table(scores)
    plans, seeds = table.shape
    inner = float(table.var(axis=1, ddof=1).mean())
    outer = float(seeds * table.mean(axis=1).var(ddof=1))
    if not inner:
        raise SearchError("all seeds have equal scores: were they trained with different seeds?")
    ratio, tail = outer / inner, (1 - level) / 2
    free = plans - 1, plans * (seeds - 1)
    ends = [ratio / float(stats.f.ppf(chance, *free)) for chance in (1 - tail, tail)]
    high, low = (_noise(end, seeds) for end in ends)
    return ScoreNoise(
        plans=plans,
        seeds=seeds,
        between=max((outer - inner) / seeds, 0.0) ** 0.5,
        within=inner**0.5,
        share=_noise(ratio, seeds),
        low=low,
        high=high,
    )


def _table(scores: Sequence[Sequence[float]]) -> np.ndarray:
    try:
        lengths = {len(row) for row in scores}
        np.array([[float(score) for score in row] for row in scores if lengths == {len(row)}])
    except (TypeError, ValueError, OverflowError):
        raise SearchError(
            f"scores are rows of numbers, a row for each plan, got {excerpt(scores)}"
        ) from None
    if len(scores) < 2 or len(lengths) > 1 or min(lengths) < 2:
        raise SearchError(
            f"{len(scores)} plans with {sorted(lengths)} seeds\n"
            "  two plans or more, each with the same number of seeds, two or more"
        )
    return np.array(scores, dtype=float)


def _noise(ratio: float, seeds: int) -> float:
    """The share of noise for a ratio of the mean squares between and within plans."""
    signal = max(ratio - 1, 0.0) / seeds
    return 1 / (1 + signal)
