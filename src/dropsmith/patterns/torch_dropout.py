"""Rules for dropout that a model already has: another rate, or none."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import PatternError
from dropsmith.patterns._pattern import Pattern
from dropsmith.patterns._schedule import check_chance
from dropsmith.rng import Source


@dataclass(frozen=True, kw_only=True, repr=False)
class TorchDropout(Pattern):
    """Torch's own dropout at another rate; fused kernels and torch's generator stay in use.

    In training its masks cannot be drawn again; where that matters, use `Bernoulli` on the same
    site. `predict` draws them by key where they drop single units.

    >>> TorchDropout(rate=0.3)
    TorchDropout(rate=0.3)

    Args:
        rate: probability of dropping, in [0, 1).
    """

    rate: float

    def __post_init__(self) -> None:
        check_chance("TorchDropout", "rate", self.rate)

    def draw(self, axes: Axes, source: Source) -> Tensor:
        raise PatternError(
            "TorchDropout sets the rate of dropout that a model already has, and draws no mask\n"
            "  use it at sites that drop already; elsewhere use Bernoulli(rate=...)"
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class Off(Pattern):
    """No noise at the site, whatever the model or an earlier rule sets.

    >>> Off()
    Off()
    """

    def draw(self, axes: Axes, source: Source) -> Tensor:
        return torch.ones([1] * len(axes.sizes), device=source.device)

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        return x
