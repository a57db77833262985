"""Stochastic depth: a residual branch is left out for some rows (Huang et al. 2016)."""

from dataclasses import dataclass

from torch import Tensor

from dropsmith.axes import Axes
from dropsmith.patterns._pattern import Pattern, Rate, check_rate
from dropsmith.rng import Source, keep


@dataclass(frozen=True, kw_only=True, repr=False)
class StochasticDepth(Pattern):
    """Drop a branch for each row with probability `rate`; scale kept rows by 1 / (1 - rate).

    Huang et al. decide once for the batch and scale at test time. Deciding for each row has the
    same mean and less variance between batches. With `rate=DepthRate(first=0.0, last=0.5)` the rate
    rises with depth, as they propose.

    >>> from dropsmith.rng import Key
    >>> path, source = StochasticDepth(rate=0.5), Source(Key.of(0))
    >>> mask = path.draw(Axes.read("batch time unit", (4, 7, 16)), source)
    >>> mask.shape, bool(((mask > 0).flatten() == path.kept_rows(4, source)).all())
    (torch.Size([4, 1, 1]), True)

    Args:
        rate: probability that the branch is dropped for a row, in [0, 1), or a schedule.
    """

    rate: Rate

    def __post_init__(self) -> None:
        check_rate(self, self.rate)

    def draw(self, axes: Axes, source: Source) -> Tensor:
        rate = self.rate_at(source.step)
        return keep(source, self.mask_sizes(axes), rate).float() / (1 - rate)

    def mask_sizes(self, axes: Axes) -> tuple[int, ...]:
        axes.dims("batch")  # refuses axes without rows
        inside = axes.inside_rows()
        return tuple(1 if dim in inside else size for dim, size in enumerate(axes.sizes))

    def kept_rows(self, rows: int, source: Source) -> Tensor:
        """The mask of a batch's rows that keep the branch: True where `draw` is not zero.

        It is known before the branch runs, so that the branch can be computed for these rows alone.
        """
        return keep(source, (rows,), self.rate_at(source.step))
