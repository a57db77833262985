"""DropBlock: neighbouring pixels or steps are dropped together (Ghiasi et al. 2018).

The paper's chance of a block corner reaches the asked rate only inside a large map. Here corners
fall on a canvas that is larger than the map by one block less a pixel, and their chance is
1 - (1 - rate) ** (1 / pixels in a block), so every pixel is dropped with chance `rate` exactly:
at the border, for even blocks, and on maps smaller than the block.
"""

from dataclasses import dataclass

from torch import Tensor

from dropsmith.axes import UNKNOWN, Axes
from dropsmith.errors import AxisError, PatternError, excerpt
from dropsmith.numbers import is_count
from dropsmith.patterns._pattern import Pattern, Rate, check_rate, check_shared
from dropsmith.rng import Source, keep

_IMAGE = ("height", "width")


@dataclass(frozen=True, kw_only=True, repr=False)
class DropBlock(Pattern):
    """Drop squares of `size` × `size` pixels, or spans of `size` steps where there is no image.

    The kept values of a row are divided by the kept share of the row, so that the mean of its mask
    is one. A row in which nothing is kept is all zeros. The paper uses the kept share of the whole
    batch; that of the row makes stacked passes equal looped ones.

    >>> from dropsmith.rng import Key
    >>> axes = Axes.read("batch channel height width", (2, 1, 4, 12))
    >>> mask = DropBlock(rate=0.4, size=3).draw(axes, Source(Key.of(8)))
    >>> for line in (mask[0, 0] > 0).int().tolist():
    ...     print(*line)
    0 0 0 1 1 1 1 1 1 0 0 0
    0 1 1 1 1 1 0 0 0 0 0 0
    0 0 0 0 1 1 0 0 0 0 0 0
    1 0 0 0 0 0 0 0 0 1 1 1

    Args:
        rate: probability that a pixel is dropped, in [0, 1), or a schedule.
        size: side of a block in pixels, or its length in steps.
        shared: axes along which the blocks are the same, such as `channel`.
    """

    rate: Rate
    size: int = 7
    shared: str = ""

    def __post_init__(self) -> None:
        check_rate(self, self.rate)
        check_shared(self, self.shared)
        if not is_count(self.size, 1):
            size = excerpt(self.size)
            raise PatternError(f"DropBlock: size is a number of pixels, 1 or more; got {size}")

    def draw(self, axes: Axes, source: Source) -> Tensor:
        dims = self._dims(axes)
        canvas = list(axes.collapse(self.shared))
        for dim in dims:
            canvas[dim] += self.size - 1
        corner = 1 - (1 - self.rate_at(source.step)) ** (1 / self.size ** len(dims))
        keep_mask = keep(source, tuple(canvas), corner)
        for dim in dims:
            keep_mask = _all_in_a_run(keep_mask, dim, self.size)
        return _with_mean_one(keep_mask, axes)

    def _dims(self, axes: Axes) -> tuple[int, ...]:
        """The dimensions a block extends over."""
        names = [name for name in _IMAGE if name in axes.names]
        names = names or [name for name in ("time",) if name in axes.names]
        if not names:
            hint = '\n  name them in the rule: rule(..., axes="batch channel height width")'
            raise AxisError(
                "DropBlock needs axes height and width, or time\n"
                f"  this site has: {' '.join(axes.names)}" + (hint if UNKNOWN in axes.names else "")
            )
        if shared_names := [name for name in names if name in self.shared.split()]:
            raise PatternError(
                f"DropBlock: cannot share along {shared_names[0]!r}, where blocks begin and end\n"
                f"  share another axis of: {' '.join(axes.names)}"
            )
        return axes.dims(" ".join(names))


def _all_in_a_run(keep_mask: Tensor, dim: int, size: int) -> Tensor:
    """For each place, whether all of the `size` places that begin there are True."""
    length = 1
    while length < size:
        # Two runs of `length`, `hop` apart, make one of `length + hop`: few steps for any size.
        hop = min(length, size - length)
        count = keep_mask.shape[dim] - hop
        keep_mask = keep_mask.narrow(dim, 0, count) & keep_mask.narrow(dim, hop, count)
        length += hop
    return keep_mask


def _with_mean_one(keep_mask: Tensor, axes: Axes) -> Tensor:
    # float32 whatever the model runs in: a count of kept units overflows half precision.
    mask = keep_mask.float()
    share = mask.mean(dim=axes.inside_rows(), keepdim=True)
    return mask.div_(share.where(share > 0, 1.0))
