"""A line of runs is what a loop over the positions finds, whatever the numbers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropsmith.patterns._line import Line

WORDS = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=20)


def covered(line, position, words):
    """Booleans `[word, position]`, as the pattern has them."""
    count = torch.tensor(position, dtype=torch.int32)
    place = torch.tensor(words, dtype=torch.int32)[:, None]
    arcs = line.arcs([(count, 1)], place)
    return torch.stack([(arc.signs() < 0).expand(len(words), len(count)) for arc in arcs]).all(0)


def runs(size, stride, repeat):
    """The positions of `repeat` runs, one by one."""
    return {run * (size + stride) + step for run in range(repeat) for step in range(size)}


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 60), st.integers(0, 60), st.integers(1, 500), WORDS)
def test_endless_runs_are_where_a_loop_puts_them(size, stride, count, words):
    found = covered(Line(size=size, stride=stride), range(count), words).tolist()
    for row, word in zip(found, words, strict=True):
        place = ((word >> 1) & 0x7FFFFFFF) % (size + stride)
        assert row == [(place + step) % (size + stride) < size for step in range(count)]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 30), st.integers(0, 30), st.integers(1, 9), st.integers(1, 100), WORDS)
def test_some_runs_come_as_one_group_that_may_lie_anywhere(size, stride, repeat, count, words):
    line = Line(size=size, stride=stride, repeat=repeat, spread=count - 1)
    want = runs(size, stride, repeat)
    found = covered(line, range(count), words).tolist()
    for row, word in zip(found, words, strict=True):
        place = ((word >> 1) & 0x7FFFFFFF) % line.length
        once = [(place + step) in want for step in range(count)]
        again = [(place + step - line.length) in want for step in range(count)]
        # The end of the turn is where the group comes in again from the other side.
        assert row == [a or b for a, b in zip(once, again, strict=True)]


@pytest.mark.parametrize(("size", "stride", "repeat", "count"), [(3, 2, 2, 5), (2, 0, 3, 4)])
def test_over_all_whole_places_every_position_is_covered_equally_often(size, stride, repeat, count):
    line = Line(size=size, stride=stride, repeat=repeat, spread=count - 1)
    words = [2 * place for place in range(int(line.length))]
    found = covered(line, range(count), words)
    assert found.float().mean(0).tolist() == pytest.approx([line.share] * count)


@pytest.mark.parametrize("repeat", [None, 1, 4])
@pytest.mark.parametrize("each", [0.3, -1.7])
def test_places_between_whole_numbers_are_those_of_float64_arithmetic(repeat, each):
    line = Line(size=3, stride=2, repeat=repeat, spread=40 * abs(each), whole=False)
    words = torch.randint(-(2**31), 2**31, (300,), generator=torch.Generator().manual_seed(0))
    count = torch.arange(41, dtype=torch.int32)
    arcs = line.arcs([(count, each)], words.to(torch.int32)[:, None])
    found = torch.stack(torch.broadcast_tensors(*(arc.signs() < 0 for arc in arcs))).all(0)
    place = (words & 0x7FFFFFFF).double()[:, None] / 2**31 * line.length
    at = (place + count * each) % line.length
    want = (at < (repeat or 1) * 5 - 2) & (at % 5 < 3)
    edge = torch.minimum(at % 1, 1 - at % 1) < 1e-5
    assert torch.equal(found[~edge], want[~edge])
    assert edge.double().mean() < 1e-3


def test_a_line_without_gaps_is_covered_all_along():
    assert bool(covered(Line(size=4, stride=0), range(50), [0, 77, -1]).all())
    assert Line(size=4, stride=0).share == 1


def test_the_turn_of_a_group_holds_it_and_all_positions_and_whole_gaps():
    line = Line(size=3, stride=2, repeat=4, spread=10)
    assert line.length % 5 == 0
    assert 18 + 10 <= line.length < 18 + 10 + 5
    assert math.isclose(line.share, 12 / line.length)
