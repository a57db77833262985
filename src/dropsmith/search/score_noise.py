"""How much of a plan's score is the plan, and how much the seed it was trained with.

A search can only follow the plan's part. The scores of several plans, each trained with several
seeds, tell the two apart (one-way analysis of variance, plans being drawn at random; Searle,
Casella & McCulloch 1992, "Variance Components", chapter 3, with the exact intervals there).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dropsmith.errors import SearchError


@dataclass(frozen=True, kw_only=True)
class ScoreNoise:
    """Where the variance of scores comes from.

    Args:
        plans, seeds: how many plans were trained, and each with how many seeds.
        between: standard deviation of plans' mean scores, the noise of seeds taken away; 0 where
            the seeds explain all there is.
        within: standard deviation of one plan's score from seed to seed.
        share: of the variance of a score of one seed, how much is noise.
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
        """Over how many seeds a score is to be averaged for noise to be this share of it."""
        if self.share >= 1:
            return float("inf")
        return max(1.0, self.share / (1 - self.share) * (1 - share) / share)


def score_noise(scores: Sequence[Sequence[float]], level: float = 0.95) -> ScoreNoise:
    """What scores `[plan][seed]` say of where their variance comes from.

    >>> found = score_noise([[0.1, 0.2], [0.9, 0.8], [0.5, 0.6]])
    >>> round(found.within, 3), round(found.share, 3)
    (0.071, 0.04)

    Raises:
        SearchError: there are fewer than two plans or seeds, or not as many seeds of each plan.
    """
    from scipy import stats

    table = _table(scores)
    plans, seeds = table.shape
    inner = float(table.var(axis=1, ddof=1).mean())
    outer = float(seeds * table.mean(axis=1).var(ddof=1))
    if not inner:
        raise SearchError("no score differs between seeds: were they trained with different ones?")
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
    lengths = {len(row) for row in scores}
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
