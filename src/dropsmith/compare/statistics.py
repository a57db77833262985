"""Statistics of a few seeds: spread, paired differences with intervals, corrected p-values.

Runs of two methods with the same seed share their examples' order and their first weights, so
they are compared pair by pair: the difference varies much less than either number.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan, sqrt
from statistics import fmean, stdev

ENOUGH_FOR_P = 8
"""The least number of pairs from which a p-value is printed: with fewer it is too rough."""

ENOUGH_FOR_INTERVAL = 3
"""The least number of pairs that give an interval. Of two, Student's t has one degree of freedom,
and its 95 % interval is 12.7 standard errors wide to either side."""


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
        low, high: 95 % interval of that average by Student's t; None from fewer than three pairs,
            and where all pairs differ by the same: then their variance is unknown.
        p: chance of a mean at least this far from zero if there were no difference (two-sided
            paired t-test), not corrected; None where there is no interval, but 1 where every pair
            is equal.
        corrected: `p` after Holm's correction for all differences of its family; None where there
            is no `p`, or no family yet.
        pairs: the number of seeds both have.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    pairs: int
    corrected: float | None = None


def difference(method: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """The paired difference of two methods' numbers by seed; None where they share no seed.

    >>> difference({0: 3.0, 1: 5.0, 2: 9.0}, {0: 1.0, 1: 2.0}).mean
    2.5
    """
    seeds = sorted(method.keys() & baseline.keys())
    steps = [method[seed] - baseline[seed] for seed in seeds]
    if not steps:
        return None
    spread = deviation(steps) if len(steps) >= ENOUGH_FOR_INTERVAL else None
    if spread is None:
        return Difference(mean=mean(steps), low=None, high=None, p=None, pairs=len(steps))
    largest = max(abs(numbers[seed]) for numbers in (method, baseline) for seed in seeds)
    error = spread / sqrt(len(steps))
    return _student(mean(steps), error if error > _ROUNDING * largest else 0.0, len(steps))


_ROUNDING = 1e-12
"""Of the largest number: pairs that differ by the same in exact numbers vary by less than this."""


def _student(mean: float, error: float, pairs: int) -> Difference:
    from scipy.stats import t

    if error == 0:
        return Difference(mean=mean, low=None, high=None, p=None if mean else 1.0, pairs=pairs)
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


def correct_family(differences: Mapping[str, Difference]) -> dict[str, Difference]:
    """The same differences, each with its p-value corrected by Holm's method.

    The family is every difference passed. One without a p-value counts in it with p = 1.
    """
    p_values = holm([1.0 if change.p is None else change.p for change in differences.values()])
    return {
        name: replace(change, corrected=None if change.p is None else p)
        for (name, change), p in zip(differences.items(), p_values, strict=True)
    }
