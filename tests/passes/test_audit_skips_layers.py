"""An audit of a model that skips layers says of each site in how many views it ran."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dropsmith.passes.audit_reasons import (
    ALL_ZERO,
    ONE_VIEW,
    SKIPPED_IN_BOTH_VIEWS,
    SKIPPED_IN_ONE_VIEW,
)
from dropsmith.passes.run_audit import audit
from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from noise.skippers import REAL, STACKS, WIDTH, X, stacked_in
from noise.zoo import seeded

NEVER = "never called; its parent may pass the rate to another call"
BY_VIEWS = {
    0: (False, None, None, SKIPPED_IN_BOTH_VIEWS),
    1: (True, True, None, SKIPPED_IN_ONE_VIEW),
    2: (True, True, True, ""),
}
"""Of a site that ran in so many views: on, measured, whether views differ, and the reason."""


def verdict(row):
    measured = None if row.dropped is None else row.dropped > 0
    return row.on, measured, row.differ, row.why


def in_layers(report):
    return [row for row in report.rows if "layers" in row.site.name and row.how != "code"]


@pytest.mark.parametrize("kind", STACKS)
def test_a_layer_that_is_always_skipped_is_said_to_be_skipped(kind):
    rows = in_layers(audit(stacked_in(kind, 1.0), X))
    assert len(rows) == 9
    for row in rows:
        if row.site.name.endswith("read"):
            # No run calls it, whatever is skipped.
            assert row.why == NEVER
        else:
            assert verdict(row) == BY_VIEWS[0]


@pytest.mark.parametrize("kind", STACKS)
def test_every_layer_is_said_to_have_run_in_none_one_or_both_views(kind):
    counts = set()
    for seed in range(12):
        model = stacked_in(kind, 0.5)
        torch.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        report = audit(model, X)
        for number in range(3):
            # All that is called in a layer ran in as many views.
            rows = [report[f"1.layers.{number}.{name}"] for name in ("called", "dropout()")]
            assert verdict(rows[0]) == verdict(rows[1])
            counts |= {n for n, expected in BY_VIEWS.items() if verdict(rows[0]) == expected}
            assert verdict(rows[0]) in BY_VIEWS.values()
            assert report[f"1.layers.{number}.read"].why == NEVER
    assert counts == {0, 1, 2}


def test_the_number_of_views_is_that_of_the_forwards_in_which_a_layer_ran():
    """By a layer whose own code decides: it is there in view 0 only, or in view 1 only."""
    for absent in (0, 1):
        model = Alternating(absent)
        assert verdict(audit(model, X)["layers.0"]) == (True, True, None, ONE_VIEW)


class Alternating(nn.Module):
    """Calls a layer in every second forward with gradients, and is always looped."""

    def __init__(self, absent):
        super().__init__()
        self.layers = nn.ModuleList([nn.Dropout(0.5)])
        self.mode, self.p = "batch", 0.5  # branches that are skipped for a whole batch
        self.absent, self.calls = absent, []

    def forward(self, x):
        if torch.is_grad_enabled():
            self.calls.append(1)
            if len(self.calls) % 2 == self.absent:
                return x
        return self.layers[0](x)


def test_keyed_sites_of_skipped_layers_are_told_so_too():
    model = stacked_in("attribute", 1.0)
    plan = Plan(rule("1.layers.0.called", Bernoulli(rate=0.5)), rule("2", Bernoulli(rate=0.5)))
    with plan.installed(model, X):
        report = audit(model, X)
    assert verdict(report["1.layers.0.called"]) == BY_VIEWS[0]
    assert report["1.layers.0.called"].how == "keyed"
    assert report["2"].on


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_models_of_transformers_never_have_noise_that_is_off_without_a_reason(name):
    build, batch = REAL[name]
    reasons = set()
    for seed in range(6):
        model = build(0.5)
        torch.manual_seed(seed)
        for row in in_layers(audit(model, batch)):
            reasons.add(row.why)
            assert row.on or row.why in (SKIPPED_IN_BOTH_VIEWS, NEVER, "rate 0")
    assert "one mask for the whole batch" not in reasons
    assert {SKIPPED_IN_ONE_VIEW, SKIPPED_IN_BOTH_VIEWS} <= reasons


class Outputs(nn.Module):
    """Returns a tensor for each layer that ran."""

    def __init__(self):
        super().__init__()
        self.inner = stacked_in("attribute", 0.5)[1]

    def forward(self, x):
        states = []
        for layer in self.inner.layers:
            if float(torch.rand([])) >= self.inner.layerdrop:
                x = layer(x)
                states.append(x)
        return x, states


def test_outputs_of_unequal_number_differ():
    torch.manual_seed(0)
    assert all(audit(Outputs(), X).outputs_differ for _ in range(6))


def test_an_output_that_is_no_number_both_times_is_the_same():
    model = nn.Sequential(nn.Linear(WIDTH, 3), NotANumber())
    assert not audit(model, X).outputs_differ
    assert audit(nn.Sequential(nn.Dropout(0.5), *model), X).outputs_differ


class NotANumber(nn.Module):
    def forward(self, x):
        return torch.cat([x, x.new_full((len(x), 1), torch.nan)], 1)


class Zeroed(nn.Module):
    """Drops what its first layer returns, which starts at zero."""

    def __init__(self, call):
        super().__init__()
        self.first, self.second = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)
        nn.init.zeros_(self.first.weight)
        nn.init.zeros_(self.first.bias)
        self.drop = nn.Dropout(0.5)
        self.call = call

    def forward(self, x):
        zero = self.first(x)
        zero = self.drop(zero) if self.call else F.dropout(zero, 0.5, self.training)
        return self.second(x + zero)


@pytest.mark.parametrize("call", [True, False])
def test_noise_on_nothing_but_zeros_is_not_said_to_be_a_fault_of_the_site(call):
    name = "drop" if call else "root.dropout()"
    row = audit(Zeroed(call), seeded(6, WIDTH))[name]
    assert (row.on, row.elements, row.why) == (False, 0, ALL_ZERO)
    moved = Zeroed(call)
    nn.init.ones_(moved.first.bias)
    assert audit(moved, seeded(6, WIDTH))[name].on
