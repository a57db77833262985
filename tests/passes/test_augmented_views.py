import pytest
import torch
from torch import nn

from dropsmith.errors import ViewError
from dropsmith.passes import augmented_views


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()


def test_each_view_has_its_own_rows_of_one_pass():
    rows = torch.randn(7, 3, dtype=torch.float64)
    second = {"input": -rows[:3], "labels": torch.full((3,), -100)}
    batch = {"input": rows, "labels": torch.arange(7)}
    model = net()
    views = augmented_views(model, batch, second)
    expected = net()(torch.cat([rows, -rows[:3]]))
    torch.testing.assert_close(views.logits[0], expected[:7])
    torch.testing.assert_close(views.logits[1], expected[7:])
    assert views.batches == (batch, second)
    assert (views.rows, views.shared_rows) == (7, 3)


def test_entries_that_do_not_fit_are_refused():
    batch = {"input": torch.ones(4, 3), "labels": torch.zeros(4)}
    with pytest.raises(ViewError, match="has every entry of the batch"):
        augmented_views(net(), batch, {"input": torch.ones(2, 3).double()})
