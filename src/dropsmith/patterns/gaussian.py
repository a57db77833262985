"""Multiplicative Gaussian noise with dropout's variance; nothing is set to zero.

Srivastava et al. (2014, section 10) found noise of mean one and variance p / (1 - p) to do as well
as dropping with chance p, and Kingma et al. (2015) gave it its Bayesian reading.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.patterns._pattern import Pattern, Rate, check_rate, check_shared
from dropsmith.rng import Source, normal


@dataclass(frozen=True, kw_only=True, repr=False)
class Gaussian(Pattern):
    """Multiply each unit by a Gaussian number of mean 1 and variance rate / (1 - rate).

    The variance is that of `Bernoulli` noise of the same rate, so rates mean the same in both.
    Both papers also train the variance; here it is a setting. Masks of compiled code equal those
    of eager code to rounding, not to the bit: logarithms and cosines differ between the two.

    >>> from dropsmith.rng import Key
    >>> mask = Gaussian(rate=0.2).draw(Axes.read("batch unit", (400, 50)), Source(Key.of(0)))
    >>> round(mask.mean().item(), 2), round(mask.var().item(), 2)
    (1.0, 0.25)

    Args:
        rate: the rate of dropout that has the same variance, in [0, 1), or a schedule.
        shared: axes along which all elements get the same number, separated by spaces.
    """

    rate: Rate
    shared: str = ""

    def __post_init__(self) -> None:
        check_rate(self, self.rate)
        check_shared(self, self.shared)

    def draw(self, axes: Axes, source: Source) -> Tensor:
        rate = self.rate_at(source.step)
        spread = torch.as_tensor(rate / (1 - rate), dtype=torch.float64).sqrt()
        return normal(source, axes.collapse(self.shared)).mul_(spread).add_(1)
