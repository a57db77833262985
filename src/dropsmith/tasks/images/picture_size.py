"""The size that pictures are brought to, and the part of each that is kept."""

from collections.abc import Sequence
from statistics import median

Size = tuple[int, int]
"""Height and width in pixels."""

SMALLEST, LARGEST = 8, 64
"""Pixels of the shorter side where no size is set: a model of that size trains in minutes."""

_STEP = 8
"""Sizes are multiples of it, so that maps can be halved."""

_WIDEST = 2.0
"""The longer side over the shorter one, at most, where no size is set."""


def usual_size(sizes: Sequence[Size]) -> Size:
    """The size that suits pictures of these sizes.

    Pictures that are all of one small size stay as they are. Else the median of the shorter sides,
    up to `LARGEST`, is the shorter side; the longer one has the shape that nine in ten pictures
    have, or is as short where they have no shape in common.

    >>> usual_size([(28, 28)] * 3), usual_size([(480, 640)] * 9 + [(400, 400)])
    ((28, 28), (64, 88))
    >>> usual_size([(100, 300), (300, 100), (200, 200)])
    (64, 64)

    Args:
        sizes: height and width of each picture.
    """
    if len(set(sizes)) == 1 and max(sizes[0]) <= LARGEST:
        return sizes[0]
    side = _rounded(min(LARGEST, median(min(size) for size in sizes)))
    shape = median(width / height for height, width in sizes)
    alike = sum(abs(width / height / shape - 1) < 0.1 for height, width in sizes)
    if alike < 0.9 * len(sizes) or not 1 / _WIDEST <= shape <= _WIDEST:
        return side, side
    return (side, _rounded(side * shape)) if shape >= 1 else (_rounded(side / shape), side)


def _rounded(pixels: float) -> int:
    return max(SMALLEST, _STEP * round(pixels / _STEP))


def centre_box(width: int, height: int, size: Size) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the largest part around the centre that has a size's shape.

    >>> centre_box(40, 20, (8, 8))
    (10.0, 0.0, 30.0, 20.0)

    Args:
        width, height: of the picture.
        size: height and width that it is brought to.
    """
    scale = min(width / size[1], height / size[0])
    wide, high = size[1] * scale, size[0] * scale
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high
