"""Spans of a sequence, the pattern that AutoDropout searches for Transformers (Pham & Le 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from dropsmith.axes import UNKNOWN, Axes
from dropsmith.errors import AxisError
from dropsmith.patterns._line import Arc, Line
from dropsmith.patterns._masks import mask_of, rows_spared
from dropsmith.patterns._on_arcs import drop_in_parts, drop_on_arcs, worth_parts
from dropsmith.patterns._pattern import Pattern
from dropsmith.patterns._runs import check_count, check_places, places, positions
from dropsmith.rng import Source, traced


@dataclass(frozen=True, kw_only=True, repr=False)
class Spans(Pattern):
    """Drop runs of `size` steps, each followed by `stride` steps that are kept.

    The start of the runs is random at each draw, for every row and every unit, so each step is
    dropped with probability size / (size + stride). Runs lie along `time`; in attention
    probabilities, along the keys. Kept values are divided by the kept share of their row; a row in
    which nothing would be kept is left unchanged, see `spared_rows`.

    Runs and gaps are the paper's; the other settings are ours, since the paper leaves them open.

    >>> from dropsmith.rng import Key
    >>> axes = Axes.read("batch time unit", (1, 12, 3))
    >>> mask = Spans(size=2, stride=3).draw(axes, Source(Key.of(1)))
    >>> for line in (mask[0].T > 0).int().tolist():
    ...     print(*line)
    1 1 0 0 1 1 1 0 0 1 1 1
    1 1 1 0 0 1 1 1 0 0 1 1
    1 0 0 1 1 1 0 0 1 1 1 0

    Args:
        size: how many steps a run is long.
        stride: how many steps are kept between two runs.
        shared: axes along which position or decision are the same: `unit` drops whole steps, `time`
            is variational dropout: each unit is dropped in all steps or in none.
        fresh: `time` draws a new position at each step, which is plain dropout.
    """

    size: int
    stride: int
    shared: str = ""
    fresh: str = ""

    def __post_init__(self) -> None:
        check_count(self, "size", self.size, 1)
        check_count(self, "stride", self.stride, 0)
        check_places(self, self.shared, self.fresh, ("time",))

    def share(self, axes: Axes) -> float:
        """The probability that a unit is dropped, unchanged rows aside."""
        return Line(size=self.size, stride=self.stride).share

    def draw(self, axes: Axes, source: Source) -> Tensor:
        return mask_of(self._arcs(axes, source), axes)

    def spared_rows(self, axes: Axes, source: Source) -> Tensor:
        """True for rows that `draw` leaves unchanged, because nothing in them would be kept."""
        return rows_spared(self._arcs(axes, source), axes)

    def drop(self, x: Tensor, names: tuple[str, ...], sources: Sequence[Source]) -> Tensor:
        if traced():
            return super().drop(x, names, sources)
        product = drop_in_parts if worth_parts(x, names, self.shared) else drop_on_arcs
        return product(x, names, sources, self._arcs)

    def _arcs(self, axes: Axes, source: Source) -> list[Arc]:
        dim = _along(axes)
        run_dims = () if self.fresh else (dim,)
        steps = positions(axes, self.shared, dim, source.device)
        runs = Line(size=self.size, stride=self.stride)
        (place,) = places(source, axes, self.shared, run_dims, [runs.whole_places])
        return [runs.arc([(steps, 1)], place)]


def _along(axes: Axes) -> int:
    if "time" not in axes.names:
        hint = '\n  name it in the rule: rule(..., axes="batch time unit")'
        raise AxisError(
            f"Spans needs an axis time\n  this site has: {' '.join(axes.names)}"
            + (hint if UNKNOWN in axes.names else "")
        )
    return axes.dims("time")[-1]
