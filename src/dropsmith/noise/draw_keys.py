"""The keys of all draws of one pass, made together from a seed that is a tensor.

A graph then holds the operations of one key, whatever the number of its draws: those of a key of
its own for each draw would be most of the graph.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dropsmith.portable import exporting
from dropsmith.rng import Key, Source, StackedSources, Strata

ORDER = 0xFFFFFFFF
"""In place of a view's number, in the key of the order in which units take strata."""

Draw = tuple[str, int]
"""The name under which a site counts its calls, and the number of one of them."""


class DrawKeys:
    """The keys of the draws of one pass.

    Args:
        draws: the draws, each with the word that stands for its site in keys.
        seed: int32 without axes.
        views: the number of the view, int32 without axes; or `[views]` for views that are stacked.
        step: of the pass.
        domain: of the pass.
        rank: of the model's noise.
        strata: how many views that follow one another are stratified together; 0 for none.
    """

    def __init__(
        self,
        draws: Mapping[Draw, int],
        seed: Tensor,
        views: Tensor,
        *,
        step: int = 0,
        domain: int = 0,
        rank: int = 0,
        strata: int = 0,
    ) -> None:
        self.places = {draw: place for place, draw in enumerate(draws)}
        self.views, self.step, self.count = views, step, strata
        words, calls = _columns(draws, views.ndim)
        site = Key.of_tensor(seed).fold(rank, words)
        self.key = site.fold(domain, views, calls, step)
        if strata:
            block, self.number = _divided(views, strata)
            self.order = site.fold(domain, ORDER, calls, step, block)

    def sources(self, counter: str, call: int, device: torch.device) -> Sequence[Source]:
        """The sources of one draw, one for each view."""
        place = self.places[counter, call]
        key = _row(self.key, place)
        if self.count:
            strata = Strata(_row(self.order, place), self.number, self.count)
            key = Key(key.first, key.second, strata)
        source = Source(key, self.step, device, self.views)
        return StackedSources(source) if self.views.ndim else (source,)


def _columns(draws: Mapping[Draw, int], axes: int) -> tuple[Tensor, Tensor]:
    """The words of the draws' sites and the numbers of their calls, to fold with those of views."""
    sites = [word - (1 << 32) if word >> 31 else word for word in draws.values()]
    columns = (sites, [call for _, call in draws])
    words, calls = (torch.tensor(column, dtype=torch.int32) for column in columns)
    shape = len(draws), *[1] * axes
    return words.view(shape), calls.view(shape)


def _divided(views: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The block of each view, and its number in the block."""
    number = views % count
    if exporting():
        block = ((views - number).float() * (1 / count) + 0.5).to(torch.int32)
        return block, number
    return views // count, number


def _row(key: Key, place: int) -> Key:
    first: Any = key.first
    second: Any = key.second
    return Key(first[place], second[place])
