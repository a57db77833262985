"""A group of blocks lies on the map as a loop over its canvas puts it, upright or turned."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.patterns import Tiles
from dropsmith.patterns._group import Group

SIDES = st.integers(1, 7)


def upright(size, stride, repeat, height, width):
    inverse = ((1.0, 0.0), (0.0, 1.0))
    return Group(
        size=size, stride=stride, repeat=repeat, inverse=inverse, height=height, width=width
    )


def pictures(group, down, across):
    """Booleans `[place, height, width]` for words of the height and of the width, in pairs."""
    words = [np.asarray(one, np.int64).astype(np.int32).reshape(-1, 1, 1) for one in (down, across)]
    height = np.arange(group.height, dtype=np.int32).reshape(1, -1, 1)
    width = np.arange(group.width, dtype=np.int32).reshape(1, 1, -1)
    signs = [arc.signs() < 0 for arc in group.arcs(height, width, tuple(words))]
    return np.broadcast_to(math.prod(signs).astype(bool), (len(down), group.height, group.width))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 4), SIDES, SIDES, st.data())
def test_an_upright_group_is_cut_out_of_a_canvas_around_the_map(
    size, stride, repeat, height, width, data
):
    group = upright(size, stride, repeat, height, width)
    side = repeat * (size + stride) - stride
    line = [step % (size + stride) < size for step in range(side)]
    places = [data.draw(st.integers(0, length + side - 2)) for length in (height, width)]
    (found,) = pictures(group, [2 * places[0]], [2 * places[1]])
    # A place is how far the first pixel is from the corner of the group, round the canvas.
    rows, columns = (
        [
            bool(at < side and line[at])
            for at in ((place + step) % (length + side - 1) for step in range(length))
        ]
        for place, length in zip(places, (height, width), strict=True)
    )
    assert found.tolist() == [[a and b for b in columns] for a in rows]


@pytest.mark.parametrize("shear", [0.0, 1.0, -2.0])
@pytest.mark.parametrize("quarter", [0, 90, 180, 270])
def test_over_all_whole_places_each_pixel_is_covered_equally_often(quarter, shear):
    tiles = Tiles(size=2, stride=1, repeat=2, rotate=quarter, shear_x=shear)
    group = Group(size=2, stride=1, repeat=2, inverse=tiles._inverse(), height=3, width=4)
    assert group.is_integral
    height, width = (round(one) for one in group._canvas)
    places = [(2 * y, 2 * x) for y in range(height) for x in range(width)]
    found = pictures(group, *zip(*places, strict=True)).mean(0)
    assert found == pytest.approx(np.full((3, 4), group.share))
    # Sixteen pixels, wherever they are moved.
    assert group.share == pytest.approx(16 / (height * width))


def test_turning_a_group_changes_how_often_it_is_met_only_by_how_long_it_gets():
    shares = [
        Group(
            size=4,
            stride=2,
            repeat=2,
            inverse=Tiles(size=4, stride=2, rotate=angle)._inverse(),
            height=64,
            width=64,
        ).share
        for angle in (0, 30, 45)
    ]
    length = [
        64 + 10 - 1,
        *(63 + 10 * (math.sin(a) + math.cos(a)) for a in (math.pi / 6, math.pi / 4)),
    ]
    assert shares == pytest.approx([64 / one**2 for one in length])
