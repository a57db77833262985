"""Statistics of a few seeds: spread, paired differences with intervals, corrected p-values.

Runs of two methods with the same seed share their examples' order and their first weights, so
they are compared pair by pair: the difference varies much less than either number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan, sqrt
from statistics import fmean, stdev

ENOUGH_FOR_P = 8
"""The least number of pairs from which a p-value is given: with fewer it says too little."""


def mean(values: Iterable[float]) -> float:
    """The average of at least one number; NaN where runs that diverged leave none.

    >>> mean([1.0, 2.0]), mean([1e400, 1.0]), mean([1e400, -1e400])
    (1.5, inf, nan)
    """
    try:
        return fmean(values)
    except (ValueError, OverflowError):  # of infinities that cancel, or past the largest float
        return nan


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None of fewer than two numbers, or where it is not finite."""
    if len(values) < 2 or not all(map(isfinite, values)):
        return None
    try:
        return stdev(map(float, values))
    except OverflowError:
        return None


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The mean and the deviation of some numbers.

    >>> Spread.of([1.0, 2.0, 3.0])
    Spread(mean=2.0, deviation=1.0, count=3)

    Args:
        mean: their average.
        deviation: the sample standard deviation (over n − 1); None for fewer than two numbers, and
            where one of them is not finite.
        count: the number of them.
    """

    mean: float
    deviation: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one number."""
        return cls(mean=mean(values), deviation=deviation(values), count=len(values))


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of one method to another over seeds that both have.

    Args:
        mean: average of (method − baseline).
        low, high: 95 % interval of that average by Student's t; None from fewer than two pairs.
        p: chance of a mean at least this far from zero if there were no difference (two-sided
            paired t-test), not corrected; None from fewer than two pairs, and where all pairs
            differ by the same: then their variance is unknown.
        pairs: the number of seeds both have.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    pairs: int

    @property
    def clear(self) -> bool:
        """True if the interval leaves zero out and has a width."""
        if self.low is None or self.high is None or self.low == self.high:
            return False
        return not self.low <= 0 <= self.high


def difference(method: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """The paired difference of two methods' numbers by seed; None where they share no seed.

    >>> difference({0: 3.0, 1: 5.0, 2: 9.0}, {0: 1.0, 1: 2.0}).mean
    2.5
    """
    seeds = sorted(method.keys() & baseline.keys())
    steps = [method[seed] - baseline[seed] for seed in seeds]
    if not steps:
        return None
    spread = deviation(steps)
    if spread is None:
        return Difference(mean=mean(steps), low=None, high=None, p=None, pairs=len(steps))
    return _student(mean(steps), spread / sqrt(len(steps)), len(steps))


def _student(mean: float, error: float, pairs: int) -> Difference:
    from scipy.stats import t

    if error == 0:
        p = None if mean else 1.0
        return Difference(mean=mean, low=mean, high=mean, p=p, pairs=pairs)
    reach = float(t.ppf(0.975, pairs - 1)) * error
    p = 2 * float(t.sf(abs(mean) / error, pairs - 1))
    return Difference(mean=mean, low=mean - reach, high=mean + reach, p=p, pairs=pairs)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value corrected for the number of questions (Holm, 1979), in the same order.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    results = [1.0] * len(p_values)
    floor = 0.0
    for rank, index in enumerate(order):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        results[index] = floor
    return results


def corrected_p_values(
    differences: Mapping[str, Difference | None], *, enough: int = ENOUGH_FOR_P
) -> dict[str, float]:
    """Holm-corrected p-values of the differences that rest on enough pairs, by the same names.

    The family is every difference passed, whether or not it has enough pairs itself.
    """
    family = {
        name: 1.0 if difference is None or difference.p is None else difference.p
        for name, difference in differences.items()
    }
    p_values = dict(zip(family, holm(list(family.values())), strict=True))
    return {
        name: p_values[name]
        for name, difference in differences.items()
        if difference is not None and difference.p is not None and difference.pairs >= enough
    }
