"""A row keeps its whole branch or loses it."""

import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.errors import AxisError
from dropsmith.patterns import StochasticDepth
from dropsmith.rng import Key, Source

SOURCE = Source(Key.of(0))


@pytest.mark.parametrize(
    ("names", "sizes"),
    [("batch time unit", (32, 3, 4)), ("time batch unit", (3, 32, 4)), ("batch", (32,))],
)
def test_a_row_is_kept_or_dropped_as_a_whole(names, sizes):
    axes = Axes.read(names, sizes)
    mask = StochasticDepth(rate=0.5).draw(axes, SOURCE)
    assert mask.numel() == 32
    assert mask.shape[axes.dim("batch")] == 32
    assert mask.unique().tolist() == [0.0, 2.0]


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.9])
def test_kept_rows_are_known_before_the_branch_runs(rate):
    mask = StochasticDepth(rate=rate).draw(Axes.read("batch unit", (100, 5)), SOURCE)
    assert torch.equal(StochasticDepth(rate=rate).kept_rows(100, SOURCE), mask.flatten() > 0)


def test_computing_only_the_kept_rows_gives_the_same_result():
    path, x = StochasticDepth(rate=0.5), torch.rand(64, 6) + 1
    kept = path.kept_rows(64, SOURCE)
    branch = torch.zeros_like(x)
    branch[kept] = x[kept].exp() / (1 - 0.5)
    torch.testing.assert_close(path.drop(x.exp(), ("batch", "unit"), [SOURCE]), branch)


def test_a_site_without_rows_is_refused():
    with pytest.raises(AxisError, match="no axis 'batch'"):
        StochasticDepth(rate=0.5).draw(Axes.read("time unit", (3, 4)), SOURCE)
