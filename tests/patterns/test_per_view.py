"""Each view has its own rate, stacked and looped alike."""

from math import sqrt

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import PatternError
from dropsmith.patterns import PerView, from_json

RATES = (0.1, 0.5)
ROWS, UNITS = 60, 300


def dropped(mode, **more):
    net = nn.Sequential(nn.Identity())
    plan = ds.Plan(ds.rule("0", PerView(rates=RATES), **more))
    with plan.installed(net.train(), seed=3):
        return ds.views(net, torch.ones(ROWS, UNITS), 3, mode=mode).outputs


@pytest.mark.parametrize("mode", ["stacked", "looped"])
def test_every_view_is_dropped_at_its_rate_and_later_ones_at_the_last(mode):
    for view, rate in zip(dropped(mode), (*RATES, RATES[-1]), strict=True):
        bound = 5 * sqrt(rate * (1 - rate) / view.numel())
        assert abs((view == 0).double().mean().item() - rate) < bound
        assert view.unique().tolist() == pytest.approx([0, 1 / (1 - rate)])


def test_stacked_and_looped_views_have_the_same_masks():
    for one, other in zip(dropped("stacked"), dropped("looped"), strict=True):
        assert torch.equal(one, other)


def test_views_that_share_a_mask_have_the_first_rate():
    first, second, _ = dropped("looped", views="shared")
    assert torch.equal(first, second)
    assert first.unique().tolist() == pytest.approx([0, 1 / 0.9])


def test_it_comes_back_from_json_with_its_rates():
    pattern = PerView(rates=RATES, shared="time")
    assert from_json(pattern.to_json() | {"rates": list(RATES)}) == pattern


@pytest.mark.parametrize(("rates", "says"), [((), "is empty"), ((0.1, 1.0), "rates must be")])
def test_rates_that_mean_nothing_are_refused(rates, says):
    with pytest.raises(PatternError, match=says):
        PerView(rates=rates)


def test_one_rate_alone_is_told_to_be_a_tuple():
    with pytest.raises(PatternError, match=r"one number for each view, got 0\.3\n.*\(0\.1, 0\.3\)"):
        PerView(rates=0.3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("mode", ["stacked", "looped"])
def test_in_a_prediction_samples_have_the_rates_in_order(mode):
    net = nn.Sequential(nn.Identity())
    plan = ds.Plan(ds.rule("0", PerView(rates=RATES)))
    batch = torch.ones(ROWS, UNITS)
    found = ds.predict(net, batch, samples=3, plan=plan, mode=mode, kind="regression", keep=True)
    for sample, rate in zip(found.draws, (*RATES, RATES[-1]), strict=True):
        bound = 5 * sqrt(rate * (1 - rate) / sample.numel())
        assert abs((sample == 0).double().mean().item() - rate) < bound
