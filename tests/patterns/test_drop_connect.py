"""Connections are dropped; the weight that is trained stays what it was."""

import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.errors import AxisError, ViewError
from dropsmith.patterns import Bernoulli, DropConnect
from dropsmith.rng import Key, Source

SOURCE = Source(Key.of(0))
NAMES = ("?", "?")


def test_entries_are_zero_or_scaled_by_one_over_the_share_kept():
    thin = DropConnect(rate=0.2).drop(torch.ones(40, 30), NAMES, [SOURCE])
    assert thin.unique().tolist() == pytest.approx([0, 1.25])


def test_the_trained_weight_is_untouched_and_learns_through_the_mask():
    weight = torch.nn.Parameter(torch.rand(40, 30) + 1)
    before = weight.detach().clone()
    thin = DropConnect(rate=0.5).drop(weight, NAMES, [SOURCE])
    thin.sum().backward()
    assert torch.equal(weight, before)
    assert weight.grad is not None
    assert torch.equal(weight.grad == 0, thin == 0)
    assert set(weight.grad.unique().tolist()) == {0.0, 2.0}


def test_it_drops_what_independent_flips_of_the_same_key_drop():
    axes = Axes.read("? ? ?", (4, 5, 6))
    assert torch.equal(
        DropConnect(rate=0.3).draw(axes, SOURCE), Bernoulli(rate=0.3).draw(axes, SOURCE)
    )


def test_named_axes_can_be_shared_so_that_whole_units_go():
    mask = DropConnect(rate=0.5, shared="unit").draw(Axes.read("channel unit", (50, 8)), SOURCE)
    assert mask.shape == (50, 1)


def test_sharing_an_axis_without_a_name_asks_for_the_name():
    with pytest.raises(AxisError, match=r"(?s)cannot tell which.*rule\(..., axes="):
        DropConnect(rate=0.5, shared="unit").draw(Axes.read("? ?", (50, 8)), SOURCE)


def test_one_parameter_cannot_serve_several_views():
    with pytest.raises(ViewError, match=r"(?s)masks of 2 views.*looped"):
        DropConnect(rate=0.5).drop(torch.ones(4, 4), NAMES, [SOURCE, SOURCE])
