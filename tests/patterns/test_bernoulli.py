"""Coin flips decide alone, or for all along the axes they are shared over."""

import pytest
import torch

from dropsmith.axes import Axes
from dropsmith.patterns import Bernoulli
from dropsmith.rng import Key, Source

AXES = Axes.read("batch time unit", (16, 7, 12))
SOURCE = Source(Key.of(0))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_survivors_are_scaled_by_one_over_the_share_kept(rate):
    values = Bernoulli(rate=rate).draw(AXES, SOURCE).unique().tolist()
    assert values == pytest.approx([0, 1 / (1 - rate)] if rate else [1])


@pytest.mark.parametrize("shared", ["", "time", "batch time", "unit", "unit batch time"])
def test_one_flip_decides_along_shared_axes_and_only_those(shared):
    mask = Bernoulli(rate=0.5, shared=shared).draw(AXES, SOURCE).expand(AXES.sizes)
    for dim, name in enumerate(AXES.names):
        constant = bool((mask == mask.narrow(dim, 0, 1)).all())
        assert constant == (name in shared.split())


def test_the_fast_path_drops_what_the_drawn_mask_drops():
    x = torch.rand(AXES.sizes) + 1
    pattern = Bernoulli(rate=0.4)
    torch.testing.assert_close(
        pattern.drop(x, AXES.names, [SOURCE]), x * pattern.draw(AXES, SOURCE)
    )


def test_places_without_names_can_be_dropped_but_not_shared():
    assert Bernoulli(rate=0.5).draw(Axes.read("? ?", (3, 4)), SOURCE).shape == (3, 4)
