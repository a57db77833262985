"""What is small of a draw is kept for backward, what is large is drawn again."""

import numpy as np
import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.patterns import Spans, Tiles
from dropsmith.patterns._line import Arc
from dropsmith.patterns._masks import Rows
from dropsmith.patterns._on_arcs import PART, Draws, drop_in_parts, drop_on_arcs
from dropsmith.patterns._products import SMALL
from dropsmith.rng import Key, Source

IMAGE = ("batch", "channel", "height", "width")


def counted(pattern):
    """The arcs of a pattern, and a list of the sources they were asked for."""
    asked = []

    def arcs(axes, source):
        asked.append(source)
        return pattern._arcs(axes, source)

    return arcs, asked


@pytest.mark.parametrize("product", [drop_in_parts, drop_on_arcs])
@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize(
    ("pattern", "sizes", "times"),
    [
        (Tiles(size=2, stride=5, rotate=20), (4, 33, 40, 31), 1),
        (Tiles(size=2, stride=5), (4, 33, 40, 31), 1),
        # As many places as units, and on a map of nine pixels nearly so.
        (Tiles(size=2, stride=5, fresh="height width"), (4, 33, 40, 31), 2),
        (Tiles(size=1, stride=1, rotate=20), (6, 6000, 3, 3), 2),
    ],
    ids=repr,
)
def test_places_are_drawn_again_only_where_they_are_many(product, views, pattern, sizes, times):
    x = torch.rand(sizes, requires_grad=True)
    sources = [Source(Key.of(seed)) for seed in range(views)]
    arcs, asked = counted(pattern)
    out = product(x, IMAGE, sources, arcs)
    assert len(asked) == views
    (first,) = torch.autograd.grad(out.square().sum(), x, create_graph=True)
    assert len(asked) == times * views
    rows = Axes(IMAGE, (sizes[0] // views, *sizes[1:]))
    mask = torch.cat([pattern.draw(rows, source) for source in sources])
    assert x.numel() > PART
    assert torch.equal(out, x * mask)
    torch.testing.assert_close(first, 2 * x * mask.square())
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(second, 2 * mask.square())


def test_runs_in_a_batch_that_is_not_first_have_gradients_of_their_mask():
    pattern, names = Spans(size=2, stride=5), ("time", "batch", "unit")
    x = torch.rand(50, 4, 300, requires_grad=True)
    out = pattern.drop(x, names, [Source(Key.of(1)), Source(Key.of(2))])
    out.sum().backward()
    mask = pattern.masks((50, 4, 300), names, [Source(Key.of(1)), Source(Key.of(2))])
    assert torch.equal(out, x * mask)
    assert torch.equal(x.grad, mask)


def numbers_in(value):
    """How many numbers are held by a value and all that it holds."""
    if isinstance(value, torch.Tensor):
        return value.numel()
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, dict):
        return sum(numbers_in(one) for one in value.values())
    if isinstance(value, list | tuple):
        return sum(numbers_in(one) for one in value)
    return numbers_in(vars(value)) if isinstance(value, Arc | Rows | Draws) else 0


@pytest.mark.parametrize("rotate", [0, 20])
@pytest.mark.parametrize("side", [3, 8, 32])
def test_of_arcs_and_of_rows_at_most_a_sixteenth_is_kept_for_backward(rotate, side):
    rows, channels, source = 4, 50_000 // side**2, Source(Key.of(1))
    axes = Axes(IMAGE, (rows, channels, side, side))
    room = rows * channels * side**2 // SMALL
    draws = Draws(Tiles(size=1, stride=2, rotate=rotate)._arcs, room)
    for start in range(rows):
        draws.of(axes, source).part(start, 1)
    assert 2 * rows <= numbers_in(draws) <= room + 2 * rows


def test_rows_as_many_as_units_are_not_kept():
    axes, source = Axes(("batch", "time"), (9_000, 2)), Source(Key.of(1))
    draws = Draws(Spans(size=2, stride=3)._arcs, 18_000 // SMALL)
    first, again = (draws.of(axes, source).mask().clone() for _ in range(2))
    assert numbers_in(draws) == 0
    assert torch.equal(first, again)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sizes", [(4, 0, 8, 8), (0, 3, 8, 8)])
@pytest.mark.parametrize("rotate", [0, 20])
def test_rows_without_units_and_batches_without_rows_stay_as_they_are(sizes, rotate):
    pattern = Tiles(size=2, stride=3, rotate=rotate)
    assert pattern.drop(torch.empty(sizes), IMAGE, [Source(Key.of(1))]).shape == sizes


def test_a_tensor_without_a_batch_is_one_row():
    x, source = torch.rand(40, 30, requires_grad=True), Source(Key.of(1))
    out = Spans(size=2, stride=3).drop(x, ("time", "unit"), [source])
    (gradient,) = torch.autograd.grad(out.sum(), x)
    kept = (out > 0).double().mean().item()
    torch.testing.assert_close(gradient, (out > 0) / kept, check_dtype=False)
