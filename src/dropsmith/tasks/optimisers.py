"""Optimisers as values: what a budget names and `train` makes.

Learning rate and weight decay are the budget's, so that a comparison can tune them for any.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from dropsmith.errors import TaskError
from dropsmith.numbers import check_number, check_whole


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam whose weight decay is apart from the gradient (Loshchilov & Hutter, 2019).

    Args:
        first, second: how much of its running mean of gradients, and of their squares, is kept at
            each step: β₁ and β₂.
        least: what is added to the root that a step is divided by: ε.
    """

    first: float = 0.9
    second: float = 0.999
    least: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            check_number(f"AdamW: {name}", getattr(self, name), TaskError, most=1)
        check_number("AdamW: least", self.least, TaskError)


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam whose weight decay w adds w·θ to the gradient, which a penalty ½·w·θ² would do."""


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Steps against the gradient: θ ← (1 − shrink)(θ − lr·(g + w·θ)), w the weight decay.

    >>> SGD(momentum=0.9) == SGD(shrink=0.0, momentum=0.9, ahead=False)
    True

    Args:
        shrink: the part every parameter loses after each step whatever the learning rate, as in
            the code of Gal & Ghahramani (2016): 1e-7.
        momentum: how much of the last step goes into the next: g becomes the sum of all gradients
            so far, each weighed by as many powers of it.
        ahead: whether the gradient counts once more beside that sum, as Nesterov's does.
    """

    shrink: float = 0.0
    momentum: float = 0.0
    ahead: bool = False

    def __post_init__(self) -> None:
        _check_shrink(self, self.shrink)
        check_number("SGD: momentum", self.momentum, TaskError, most=1)
        if self.momentum == 1:
            raise TaskError(f"SGD: momentum must be in [0, 1), got {self.momentum}")
        if self.momentum and self.shrink:
            raise TaskError("SGD: shrink is for plain steps\n  leave out momentum, or shrink")
        if self.ahead and not self.momentum:
            raise TaskError("SGD: ahead is of a momentum, which is 0\n  give one: momentum=0.99")


@dataclass(frozen=True, kw_only=True)
class TriggeredASGD:
    """SGD, and from a trigger on the average of its weights: NT-ASGD (Merity et al., 2018, sec. 4).

    At an evaluation whose validation loss is above the best of all but the last `nonmono` before
    it, averaging begins: from then on the mean of the weights there and after every later step
    is what is evaluated and kept, while steps go on from the last weights.

    >>> asgd = TriggeredASGD(nonmono=2)
    >>> asgd.trigger([5.0, 4.0, 3.0, 3.2, 3.1]), asgd.trigger([5.0, 4.0, 3.0, 3.2, 3.1, 3.3])
    (None, 5)

    Args:
        nonmono: how many evaluations before the present one do not count; the paper's n is 5.
        shrink: as for `SGD`.
    """

    nonmono: int = 5
    shrink: float = 0.0

    def __post_init__(self) -> None:
        _check_shrink(self, self.shrink)
        check_whole("TriggeredASGD: nonmono", self.nonmono, 1, TaskError)

    def trigger(self, losses: Sequence[float]) -> int | None:
        """The index of the evaluation after which averaging begins; None if none has done so.

        Args:
            losses: the validation loss of every evaluation so far.
        """
        return worse_at(losses, self.nonmono)


@dataclass(frozen=True, kw_only=True)
class ASGD:
    """SGD, and from its first step on the average of its weights (Polyak & Juditsky, 1992).

    As `TriggeredASGD` after its trigger: the mean of the weights before the first step and after
    every step is what is evaluated and kept. For runs that begin from trained weights, such as the
    second phase of Merity et al. (2018).

    >>> to_json(ASGD())
    {'name': 'ASGD', 'shrink': 0.0}

    Args:
        shrink: as for `SGD`.
    """

    shrink: float = 0.0

    def __post_init__(self) -> None:
        _check_shrink(self, self.shrink)


Optimiser = AdamW | Adam | SGD | TriggeredASGD | ASGD
"""The rule by which a gradient becomes a step."""


def to_json(optimiser: Optimiser) -> dict[str, Any]:
    """Its name and settings, of later ones those that are not usual: records keep their ids.

    >>> to_json(SGD()), to_json(SGD(momentum=0.9))
    ({'name': 'SGD', 'shrink': 0.0}, {'name': 'SGD', 'shrink': 0.0, 'momentum': 0.9})
    """
    optional = {"momentum", "ahead", "first", "second", "least"}
    settings = {
        field.name: getattr(optimiser, field.name)
        for field in fields(optimiser)
        if field.name not in optional or getattr(optimiser, field.name) != field.default
    }
    return {"name": type(optimiser).__name__} | settings


def _check_shrink(optimiser: SGD | TriggeredASGD | ASGD, shrink: float) -> None:
    check_number(f"{type(optimiser).__name__}: shrink", shrink, TaskError, most=1)
    if shrink == 1:
        raise TaskError(f"{type(optimiser).__name__}: shrink must be in [0, 1), got {shrink}")


def worse_at(losses: Sequence[float], nonmono: int) -> int | None:
    """The first evaluation whose loss is above the best of all but the last few before it.

    The non-monotonic criterion of Merity et al. (2018), algorithm 1. A loss that is not a number
    is no best, and is not above one.

    >>> losses = [5.0, 4.0, 3.0, 3.2, 3.1, 3.3]
    >>> worse_at(losses, 2), worse_at(losses[:-1], 2)
    (5, None)

    Args:
        losses: of every evaluation so far.
        nonmono: how many evaluations before the one in question do not count.
    """
    best = math.inf
    for index in range(nonmono + 1, len(losses)):
        best = min(best, losses[index - nonmono - 1])  # which stays, where the other is none
        if losses[index] > best:
            return index
    return None
