"""Masks of arcs are what their definition says, however few or many units there are."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.axes import Axes
from dropsmith.patterns._line import Arc, before
from dropsmith.patterns._masks import NUMPY_UNITS, mask_of, rows_spared

NAMES = ("batch", "channel", "height", "width")
# Two sides of a rectangle, two that vary alike, and one alone; small for NumPy, large for torch.
SIDES = {
    "sides": (((3, 5, 7, 1), (3, 5, 1, 6)), ((3, 40, 33, 1), (3, 40, 1, 31))),
    "wholes": (((3, 5, 7, 6), (3, 5, 7, 6)), ((2, 40, 33, 31), (2, 40, 33, 31))),
    "one": (((3, 5, 7, 6),), ((2, 40, 33, 31),)),
    "three": (
        ((3, 5, 7, 1), (3, 5, 1, 6), (3, 5, 7, 1)),
        ((3, 40, 33, 1), (3, 1, 33, 31), (3, 40, 1, 1)),
    ),
    "rows alike": (((1, 5, 7, 1), (1, 5, 1, 6)), ((1, 40, 133, 1), (1, 40, 1, 31))),
}
EACH = [(name, sizes) for name, pair in SIDES.items() for sizes in pair]


def arcs_of(shapes, lengths, as_array):
    """Arcs at random places, and where units are on all of them."""
    draws, arcs, on = np.random.default_rng(0), [], torch.tensor(True)
    for shape, length in zip(shapes, lengths, strict=False):
        place = draws.integers(0, 2**31, shape)
        on = on & torch.from_numpy(place < length)
        place = place.astype(np.int32)
        arcs.append(Arc.of(0, place if as_array else torch.from_numpy(place), length))
    return arcs, on


@pytest.mark.parametrize("lengths", [(2**30,) * 3, (2**30, 2**30 + 2**29, 2**29)])
@pytest.mark.parametrize("as_array", [True, False])
@pytest.mark.parametrize(("kind", "shapes"), EACH, ids=[f"{k}-{s[0]}" for k, s in EACH])
def test_a_unit_is_dropped_on_all_arcs_and_a_row_is_divided_by_what_it_keeps(
    kind, shapes, as_array, lengths
):
    arcs, on = arcs_of(shapes, lengths, as_array)
    kept = (~on).double()
    want = kept / kept.mean((1, 2, 3), keepdim=True)
    mask = mask_of(arcs, Axes(NAMES, tuple(on.shape)))
    torch.testing.assert_close(mask.double(), want, rtol=1e-6, atol=0)
    assert (on.numel() > NUMPY_UNITS) == (shapes[0][1] == 40), kind


@pytest.mark.parametrize("as_array", [True, False])
@pytest.mark.parametrize("last", [6, 4000])
def test_rows_under_all_sides_are_spared_and_no_others(as_array, last):
    down, across = np.zeros((3, 2, 5, 1), np.int32), np.zeros((3, 2, 1, last), np.int32)
    # The second row keeps one pixel of its second channel, the third keeps no height of its first.
    down[1, 1, 4] = across[1, 1, 0, -1] = 2**31 - 1
    down[2, 0] = 2**31 - 1
    across[1, 0] = across[1, 1, 0, :-1] = 0
    arcs = [Arc.of(0, one if as_array else torch.from_numpy(one), 5) for one in (down, across)]
    axes = Axes(NAMES, (3, 2, 5, last))
    assert rows_spared(arcs, axes).flatten().tolist() == [True, False, False]
    mask = mask_of(arcs, axes)
    assert torch.equal(mask[0], torch.ones(2, 5, last))
    # Of a rectangle, that is a row of pixels and a column.
    assert int((mask[1] > 0).sum()) == last + 4
    assert mask[2].unique().tolist() == [0.0, 2.0]


WORD = st.integers(-(2**31), 2**31 - 1)


@settings(deadline=None)
@given(
    st.lists(WORD, min_size=1, max_size=30),
    st.one_of(st.integers(0, 2**31), st.sampled_from([0, 1, 2**30, 2**31 - 1, 2**31])),
)
def test_what_is_before_an_end_is_what_integers_say_at_the_rims_too(words, length):
    words += [-(2**31), -(2**31) + 2, -2, -1, 0, 1, 2**31 - 2]
    end = 2 * length - 2**31
    # On a turn, even numbers are met alone.
    words = [word & ~1 for word in words]
    want = [word < end for word in words]
    assert (before(torch.tensor(words, dtype=torch.int32), end) < 0).tolist() == want
    assert (before(np.array(words, np.int32), end) < 0).tolist() == want
