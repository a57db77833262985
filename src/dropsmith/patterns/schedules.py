"""Rates that change while a model trains, or from layer to layer.

A schedule knows nothing but the step it is asked about, so a run that resumes resumes it too.
Steps count the training forwards of a model from 1; step 0 is before the first.
"""

from dataclasses import dataclass

from torch import Tensor

from dropsmith.errors import PatternError, excerpt
from dropsmith.numbers import is_count
from dropsmith.patterns._schedule import Schedule, check_chance
from dropsmith.rng import Word


@dataclass(frozen=True, kw_only=True)
class LinearRate(Schedule):
    """A rate that changes linearly from `start` at step 0 to `end` at step `steps`, then stays.

    >>> LinearRate(start=0.0, end=0.4, steps=100).at(25)
    0.1
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        check_chance("LinearRate", "start", self.start)
        check_chance("LinearRate", "end", self.end)
        _check_steps("LinearRate", "steps", self.steps)

    def at(self, step: Word) -> float | Tensor:
        return _between(self.start, self.end, _share(step, self.steps))


@dataclass(frozen=True, kw_only=True)
class EarlyRate(Schedule):
    """`rate` until step `steps`, then no noise: against underfitting (Liu et al. 2023).

    >>> EarlyRate(rate=0.1, steps=50).at(50), EarlyRate(rate=0.1, steps=50).at(51)
    (0.1, 0.0)
    """

    rate: float
    steps: int

    def __post_init__(self) -> None:
        check_chance("EarlyRate", "rate", self.rate)
        _check_steps("EarlyRate", "steps", self.steps)

    def at(self, step: Word) -> float | Tensor:
        return self.rate * (1 - _past(step, self.steps))


@dataclass(frozen=True, kw_only=True)
class LateRate(Schedule):
    """No noise until step `steps`, then `rate`: against overfitting (Liu et al. 2023).

    >>> LateRate(rate=0.1, steps=50).at(50), LateRate(rate=0.1, steps=50).at(51)
    (0.0, 0.1)
    """

    rate: float
    steps: int

    def __post_init__(self) -> None:
        check_chance("LateRate", "rate", self.rate)
        _check_steps("LateRate", "steps", self.steps)

    def at(self, step: Word) -> float | Tensor:
        return self.rate * _past(step, self.steps)


@dataclass(frozen=True, kw_only=True)
class CyclicRate(Schedule):
    """A rate that rises linearly from `low` to `high` and falls back, once every `period` steps.

    >>> rate = CyclicRate(low=0.0, high=0.5, period=20)
    >>> [rate.at(step) for step in (0, 5, 10, 15, 20)]
    [0.0, 0.25, 0.5, 0.25, 0.0]
    """

    low: float
    high: float
    period: int

    def __post_init__(self) -> None:
        check_chance("CyclicRate", "low", self.low)
        check_chance("CyclicRate", "high", self.high)
        _check_steps("CyclicRate", "period", self.period)

    def at(self, step: Word) -> float | Tensor:
        down = abs(2 * _share(step % self.period, self.period) - 1)
        return _between(self.high, self.low, down)


@dataclass(frozen=True, kw_only=True)
class DepthRate(Schedule):
    """A rate that changes linearly from the `first` to the `last` site of a rule, by depth.

    Huang et al. (2016) increase the probability of dropping a layer linearly with its depth. A rule
    that matches one site gives it `last`. The depth is known once the plan is installed; before
    that there is no rate.

    >>> [DepthRate(first=0.0, last=0.5).at_depth(index, 3) for index in range(3)]
    [0.0, 0.25, 0.5]
    """

    first: float
    last: float

    def __post_init__(self) -> None:
        check_chance("DepthRate", "first", self.first)
        check_chance("DepthRate", "last", self.last)

    def at(self, step: Word) -> float | Tensor:
        raise PatternError(
            f"{self!r} has no rate before the depth of its site is known\n"
            "  installing a plan determines it; by hand: pattern.at_depth(index, count)"
        )

    def at_depth(self, index: int, count: int) -> float:
        return float(_between(self.first, self.last, index / (count - 1) if count > 1 else 1.0))


def _share(step: Word, steps: int) -> float | Tensor:
    """The share of `steps` that has gone by; float64 either way, so both agree to the bit."""
    if isinstance(step, Tensor):
        return (step.double() / steps).clamp(0, 1)
    return min(max(step / steps, 0.0), 1.0)


def _past(step: Word, steps: int) -> float | Tensor:
    return (step > steps).double() if isinstance(step, Tensor) else float(step > steps)


def _between(start: float, end: float, share: float | Tensor) -> float | Tensor:
    # Weighted so that both ends are met exactly.
    return start * (1 - share) + end * share


def _check_steps(owner: str, name: str, steps: object) -> None:
    if not is_count(steps, 1):
        raise PatternError(f"{owner}: {name} is a number of steps, 1 or more; got {excerpt(steps)}")
