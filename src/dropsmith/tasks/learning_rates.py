"""Schedules as values: what share of its learning rate a budget gives to each step."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from dropsmith.errors import TaskError
from dropsmith.numbers import check_number, check_whole
from dropsmith.tasks.optimisers import worse_at


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The point of a run at which it asks for a learning rate.

    Args:
        step: the step about to be made, from 1.
        steps: how many the run makes.
        epochs: how many epochs of example-views are done before it.
        losses: the validation loss of every evaluation so far.
        warmup: the budget's share of all steps over which the rate may rise.
    """

    step: int
    steps: int
    epochs: float = 0.0
    losses: Sequence[float] = ()
    warmup: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """A share of the budget's learning rate for each step: a function of where the run is.

    Since it has no state but the run's own curve, a resumed run goes on with the same rates.
    """

    @abstractmethod
    def share(self, moment: Moment) -> float:
        """The factor of the learning rate, in [0, 1]."""

    def returns(self, losses: Sequence[float]) -> bool:
        """True if the run goes back to its best weights after the last of these evaluations."""
        return False

    def ends(self, losses: Sequence[float]) -> bool:
        """True if the run is over after these evaluations."""
        return False


@dataclass(frozen=True, kw_only=True)
class Cosine(Schedule):
    """A linear rise over the budget's warm-up, then half a cosine towards 0.

    It spans the run's own steps, so that a method of half as many is not cut off in its middle.

    >>> at = [Moment(step=step, steps=10, warmup=0.2) for step in (1, 2, 6, 10)]
    >>> [round(Cosine().share(moment), 2) for moment in at]
    [0.5, 1.0, 0.5, 0.0]
    """

    def share(self, moment: Moment) -> float:
        rise = max(1, round(moment.steps * moment.warmup))
        if moment.step <= rise:
            return moment.step / rise
        share = (moment.step - rise) / (moment.steps - rise)
        return 0.5 * (1 + math.cos(math.pi * share))


@dataclass(frozen=True, kw_only=True)
class Linear(Schedule):
    """A linear rise over the budget's warm-up, then a line down to 0 at the end of the run.

    >>> at = [Moment(step=step, steps=10, warmup=0.2) for step in (1, 2, 6, 10)]
    >>> [Linear().share(moment) for moment in at]
    [0.5, 1.0, 0.5, 0.0]
    """

    def share(self, moment: Moment) -> float:
        rise = max(1, round(moment.steps * moment.warmup))
        if moment.step <= rise:
            return moment.step / rise
        return (moment.steps - moment.step) / (moment.steps - rise)


@dataclass(frozen=True, kw_only=True)
class InverseRoot(Schedule):
    """A linear rise over the budget's warm-up, then down with the root of the step.

    As in Vaswani et al. (2017), section 5.3, with the learning rate of the budget at its top.

    >>> at = [Moment(step=step, steps=100, warmup=0.04) for step in (1, 4, 16, 64)]
    >>> [InverseRoot().share(moment) for moment in at]
    [0.25, 1.0, 0.5, 0.25]
    """

    def share(self, moment: Moment) -> float:
        rise = max(1, round(moment.steps * moment.warmup))
        return moment.step / rise if moment.step <= rise else math.sqrt(rise / moment.step)


@dataclass(frozen=True, kw_only=True)
class Constant(Schedule):
    """The budget's learning rate from the first step to the last.

    >>> Constant().share(Moment(step=9, steps=10))
    1.0
    """

    def share(self, moment: Moment) -> float:
        return 1.0


@dataclass(frozen=True, kw_only=True)
class UntilWorse(Schedule):
    """The budget's learning rate, and the end of the run where validation gets worse.

    That is at an evaluation whose loss is above the best of all but the last `nonmono` before it,
    where `TriggeredASGD` would begin to average. A budget's `patience` counts all of them instead.

    >>> [UntilWorse(nonmono=1).ends([3.0, 2.0, 2.5, 2.6][:n]) for n in range(5)]
    [False, False, False, False, True]

    Args:
        nonmono: how many evaluations before the present one do not count.
    """

    nonmono: int = 5

    def __post_init__(self) -> None:
        check_whole("UntilWorse: nonmono", self.nonmono, 1, TaskError)

    def share(self, moment: Moment) -> float:
        return 1.0

    def ends(self, losses: Sequence[float]) -> bool:
        return worse_at(losses, self.nonmono) is not None


@dataclass(frozen=True, kw_only=True)
class Staircase(Schedule):
    """The full rate, then less by a factor after every epoch but the first few.

    >>> stairs = Staircase(factor=2, after=1)
    >>> [stairs.share(Moment(step=1, steps=1, epochs=e)) for e in (0, 1, 1.9, 2, 3)]
    [1.0, 1.0, 1.0, 0.5, 0.25]

    Args:
        factor: what the rate is divided by.
        after: how many epochs may end before the first division: the rate falls at the end of
            each later one.
    """

    factor: float
    after: int

    def __post_init__(self) -> None:
        _check_factor(self, self.factor)
        check_whole("Staircase: after", self.after, 0, TaskError)

    def share(self, moment: Moment) -> float:
        return float(self.factor) ** -max(0, math.floor(moment.epochs) - self.after)


@dataclass(frozen=True, kw_only=True)
class Plateau(Schedule):
    """Divided by a factor where validation stands still, going on from the best weights.

    >>> flat = Plateau(factor=3, patience=2)
    >>> [flat.falls([4.0, 3.0, 3.1, 3.2, 3.3, 3.4][:n]) for n in range(7)]
    [0, 0, 0, 0, 1, 1, 2]

    Args:
        factor: what the rate is divided by.
        patience: after how many evaluations in a row without a better loss, counted anew after
            each division.
        least: the run ends when its share of the learning rate would be below this.
    """

    factor: float
    patience: int
    least: float = 0.0

    def __post_init__(self) -> None:
        _check_factor(self, self.factor)
        check_whole("Plateau: patience", self.patience, 1, TaskError)
        check_number("Plateau: least", self.least, TaskError)

    def share(self, moment: Moment) -> float:
        return float(self.factor) ** -self.falls(moment.losses)

    def returns(self, losses: Sequence[float]) -> bool:
        return self.falls(losses) > self.falls(losses[:-1])

    def ends(self, losses: Sequence[float]) -> bool:
        return self.factor ** -self.falls(losses) < self.least

    def falls(self, losses: Sequence[float]) -> int:
        """The number of times that the rate was divided within these evaluations."""
        return _falls(tuple(losses), self.patience)


@lru_cache(maxsize=8)  # asked at every step, while losses are added once an epoch
def _falls(losses: tuple[float, ...], patience: int) -> int:
    best, worse, count = math.inf, 0, 0
    for loss in losses:
        worse = 0 if loss < best else worse + 1
        best = min(best, loss) if loss == loss else best
        if worse >= patience:
            count, worse = count + 1, 0
    return count


def _check_factor(schedule: Schedule, factor: float) -> None:
    check_number(f"{type(schedule).__name__}: factor", factor, TaskError)
    if not factor > 1:
        raise TaskError(f"{type(schedule).__name__}: factor must be above 1, got {factor}")
