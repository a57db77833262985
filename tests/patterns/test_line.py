"""A line of runs is what a loop over the positions finds, whatever the numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.patterns._line import Line

WORDS = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20)


def covered(line, count, words, each=1):
    """Booleans `[word, position]`, the same of tensors and of NumPy's arrays."""
    position, place = torch.arange(count, dtype=torch.int32), torch.tensor(words)[:, None].int()
    found = line.arc([(position, each)], place).signs().expand(len(words), count)
    again = line.arc([(position.numpy(), each)], place.numpy()).signs()
    assert np.array_equal(np.broadcast_to(again, found.shape), found.numpy())
    return found < 0


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 500), WORDS)
def test_runs_are_where_a_loop_puts_them(size, stride, count, words):
    found = covered(Line(size=size, stride=stride), count, words).tolist()
    for row, word in zip(found, words, strict=True):
        place = ((word >> 1) & 0x7FFFFFFF) % (size + stride)
        assert row == [(place + step) % (size + stride) < size for step in range(count)]


@pytest.mark.parametrize("each", [0.3, -1.7])
def test_places_between_whole_numbers_are_those_of_float64_arithmetic(each):
    words = torch.randint(-(2**31), 2**31, (300,), generator=torch.Generator().manual_seed(0))
    found = covered(Line(size=3, stride=2, is_integral=False), 41, words.tolist(), each)
    place = (words & 0x7FFFFFFF).double()[:, None] / 2**31 * 5
    at = (place + torch.arange(41) * each) % 5
    edge = torch.minimum(at % 1, 1 - at % 1) < 1e-5
    assert torch.equal(found[~edge], (at < 3)[~edge])
    assert edge.double().mean() < 1e-3


def test_a_line_without_gaps_is_covered_all_along():
    assert bool(covered(Line(size=4, stride=0), 50, [0, 77, -1]).all())
    assert Line(size=4, stride=0).share == 1


def test_the_arc_of_some_rows_is_that_of_all_of_them_at_these_rows():
    position, place = torch.arange(9).int()[None], torch.arange(0, 12, 2).int()[:, None]
    arc = Line(size=2, stride=3).arc([(position, 1)], place)
    assert torch.equal(arc.of_rows(2, 3).signs(), arc.signs()[2:5])
    shared = Line(size=2, stride=3).arc([(position, 1)], place[:1])
    assert torch.equal(shared.of_rows(2, 3).signs(), shared.signs())
