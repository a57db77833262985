"""Dropout by independent random decisions, shared along any axes that are named.

Nothing shared is ordinary dropout (Srivastava et al. 2014). Sharing `time` is the variational
mask of Gal & Ghahramani (2016). Sharing `height width` drops whole channels (Tompson et al. 2015).
Sharing `batch` gives every row the same mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.kernels import keyed_dropout
from dropsmith.patterns._pattern import Pattern, Rate, check_rate, check_shared
from dropsmith.patterns._products import rows_of_each
from dropsmith.rng import Source, StackedSources, keep


@dataclass(frozen=True, kw_only=True, repr=False)
class Bernoulli(Pattern):
    """Drop each unit with probability `rate`, and multiply the others by 1 / (1 - rate).

    >>> from dropsmith.rng import Key
    >>> locked = Bernoulli(rate=0.5, shared="time")
    >>> locked.draw(Axes.read("batch time unit", (2, 3, 4)), Source(Key.of(0))).shape
    torch.Size([2, 1, 4])

    Args:
        rate: probability that a unit is dropped, in [0, 1), or a schedule.
        shared: axes along which all elements get the same decision, separated by spaces.
    """

    rate: Rate
    shared: str = ""

    def __post_init__(self) -> None:
        check_rate(self, self.rate)
        check_shared(self, self.shared)

    def draw(self, axes: Axes, source: Source) -> Tensor:
        rate = self.rate_at(source.step)
        return keep(source, axes.collapse(self.shared), rate).float() / (1 - rate)

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        if self.shared or (len(sources) > 1 and names[:1] != ("batch",)):
            return super().drop(x, names, sources)
        if len(sources) > 1:
            rows_of_each(len(sources), x.shape[0])
        rate = self.rate if type(self.rate) is float else self.rate_at(sources[0].step)
        if isinstance(sources, StackedSources):
            return keyed_dropout.drop_stacked(x, sources, rate)
        keys = tuple([source.key for source in sources])
        return keyed_dropout.keyed_dropout(x, keys, rate)
