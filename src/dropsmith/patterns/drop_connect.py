"""DropConnect: dropout of weights instead of units (Wan et al. 2013; Merity et al. 2018)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.errors import ViewError
from dropsmith.kernels import keyed_dropout
from dropsmith.patterns._pattern import Pattern, Rate, check_rate, check_shared
from dropsmith.rng import Source, keep


@dataclass(frozen=True, kw_only=True, repr=False)
class DropConnect(Pattern):
    """Drop each entry of a parameter with probability `rate`; scale the rest by 1 / (1 - rate).

    One mask serves the whole pass, as in AWD-LSTM; Wan et al. draw one for each example and do not
    rescale. The trained weight is never changed: a pass uses the product, and the gradient
    reaches the weight through the mask.

    >>> import torch
    >>> from dropsmith.rng import Key
    >>> weight = torch.ones(650, 650)
    >>> thin = DropConnect(rate=0.5).drop(weight, ("?", "?"), [Source(Key.of(0))])
    >>> thin.unique(), bool((weight == 1).all())
    (tensor([0., 2.]), True)

    Args:
        rate: probability that an entry is dropped, in [0, 1), or a schedule.
        shared: axes along which all entries get the same decision. A parameter's dimensions have no
            names unless the rule gives them, as in `rule(..., axes="unit channel")`.
    """

    goes_on: ClassVar[str] = "weights"

    rate: Rate
    shared: str = ""

    def __post_init__(self) -> None:
        check_rate(self, self.rate)
        check_shared(self, self.shared)

    def draw(self, axes: Axes, source: Source) -> Tensor:
        rate = self.rate_at(source.step)
        return keep(source, axes.collapse(self.shared), rate).float() / (1 - rate)

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        if len(sources) > 1:
            raise ViewError(
                f"DropConnect: one parameter cannot have the masks of {len(sources)} views\n"
                '  run one pass for each view: views(..., mode="looped")'
            )
        if self.shared:
            return super().drop(x, names, sources)
        return keyed_dropout.keyed_dropout(x, (sources[0].key,), self.rate_at(sources[0].step))
