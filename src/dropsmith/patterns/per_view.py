"""Dropout with a rate for each view: R-Drop's ablation with two dropout rates."""

from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import PatternError, excerpt
from dropsmith.patterns._pattern import Pattern, check_shared
from dropsmith.patterns._schedule import check_chance
from dropsmith.rng import Source, Word, keep


@dataclass(frozen=True, kw_only=True, repr=False)
class PerView(Pattern):
    """Drop units as `Bernoulli` does, each view of a batch with a rate of its own.

    Liang, Wu et al. (2021) vary two rates for the two views of R-Drop. Views that a rule lets
    share a mask have the first rate. In a prediction, sample 0 has that of view 0, and so on: every
    sample beyond the rates has the last.

    >>> from dropsmith.rng import Key
    >>> two, axes = PerView(rates=(0.1, 0.5)), Axes.read("batch unit", (400, 50))
    >>> masks = [two.draw(axes, Source(Key.of(view), view=view)) for view in (0, 1)]
    >>> [round((mask == 0).float().mean().item(), 2) for mask in masks]
    [0.1, 0.5]

    Args:
        rates: chance that a unit is dropped in view 0, 1, and so on, each in [0, 1); later views
            have the last.
        shared: axes along which one flip decides for all, separated by spaces.
    """

    rates: tuple[float, ...]
    shared: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.rates, list | tuple):
            raise PatternError(
                f"PerView: rates is one number for each view, got {excerpt(self.rates)}\n"
                "  give them together: rates=(0.1, 0.3)"
            )
        object.__setattr__(self, "rates", tuple(self.rates))
        if not self.rates:
            raise PatternError(
                "PerView: rates is empty\n  give one for each view: rates=(0.1, 0.3)"
            )
        for rate in self.rates:
            check_chance("PerView", "rates", rate, "numbers")
        check_shared(self, self.shared)

    def rate_at(self, step: Word) -> float:
        """That of view 0, at every step."""
        return self.rates[0]

    def draw(self, axes: Axes, source: Source) -> Tensor:
        sizes = axes.collapse(self.shared)
        if isinstance(source.view, Tensor):
            return self._draw_traced(sizes, source, source.view)
        rate = self.rates[min(source.view, len(self.rates) - 1)]
        return keep(source, sizes, rate).float() / (1 - rate)

    def _draw_traced(self, sizes: tuple[int, ...], source: Source, view: Tensor) -> Tensor:
        """The mask of a view whose number is a tensor: chosen among those of all rates."""
        *others, last = self.rates
        view = view.view(-1, *[1] * (len(sizes) - 1)) if view.ndim else view
        mask = keep(source, sizes, last).float() / (1 - last)
        for number, rate in enumerate(others):
            mask = torch.where(view == number, keep(source, sizes, rate).float() / (1 - rate), mask)
        return mask
