"""Rules: what they take, and which of several decides at a site."""

import pytest
from torch import nn

from dropsmith.errors import AxisError, PlanError, SiteError
from dropsmith.noise.static_sites import static_sites
from dropsmith.patterns import (
    Bernoulli,
    DepthRate,
    DropConnect,
    Off,
    StochasticDepth,
    TorchDropout,
    WordDropout,
)
from dropsmith.plans.assignment import assign, rules_without_sites
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule, rule_from_json
from dropsmith.plans.selector import select
from dropsmith.plans.site import Site
from noise.zoo import mlp

HALF, FIFTH = Bernoulli(rate=0.5), Bernoulli(rate=0.2)
DEEP = Bernoulli(rate=DepthRate(first=0.0, last=0.4))


def chosen(rules, model):
    return {one.site.name: one.pattern for one in assign(rules, static_sites(model))}


def test_the_last_rule_that_means_a_site_decides_there():
    found = chosen([rule("*", HALF), rule("1", FIFTH), rule("3", Off())], mlp())
    assert (found["0"], found["1"], found["3"]) == (HALF, FIFTH, Off())


def test_a_later_rule_for_one_kind_of_site_leaves_others_to_earlier_ones():
    found = assign([rule("0", HALF), rule("0", WordDropout(rate=0.1))], static_sites(words()))
    assert {(one.site.kind, one.pattern) for one in found} == {
        ("output", HALF),
        ("words", WordDropout(rate=0.1)),
    }


def words():
    return nn.Sequential(nn.Embedding(5, 3))


@pytest.mark.parametrize(
    ("pattern", "kinds"),
    [
        (HALF, {"output", "input", "dropout", "between"}),
        (DropConnect(rate=0.1), {"weight"}),
        (WordDropout(rate=0.1), {"words"}),
        (TorchDropout(rate=0.1), {"dropout", "between"}),
        (Off(), {"output", "input", "dropout", "between", "weight", "words"}),
    ],
)
def test_a_pattern_goes_only_where_it_can(pattern, kinds):
    net = nn.Sequential(nn.Embedding(5, 3), nn.LSTM(3, 3, 2), nn.Dropout(0.1))
    sites = static_sites(net)
    everywhere = (rule("**", pattern), rule("**.input", pattern))
    assert {site.kind for site in sites for one in everywhere if one.fits(site)} == kinds


def test_a_rate_by_depth_runs_over_the_sites_of_its_rule_in_order():
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    rates = chosen(
        [rule("*", StochasticDepth(rate=DepthRate(first=0.0, last=0.4)))], nn.ModuleList(net)
    )
    assert [rates[str(i)].rate for i in range(3)] == [0.0, 0.2, 0.4]


def test_rules_that_mean_nothing_are_told_by_index():
    sites = static_sites(mlp())
    assert rules_without_sites(
        [rule("0", HALF), rule("nine", HALF), rule("0", TorchDropout(rate=0.1))], sites
    ) == [
        1,
        2,
    ]


@pytest.mark.parametrize("model", [mlp()])
def test_a_rule_without_a_site_shows_the_nearest_names(model):
    net = nn.Sequential()
    net.add_module("encoder", nn.Sequential(model))
    with pytest.raises(SiteError) as caught:
        Plan(rule("encoder.*.1", HALF), rule("encodr.0.*", HALF)).install(net)
    message = str(caught.value)
    assert "rule 2 of the plan matched no site" in message
    assert "rule('encodr.0.*', Bernoulli(rate=0.5))" in message
    assert "nearest: encoder.0.0" in message
    assert "dropsmith.sites(model, batch)" in message


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: rule("a", 0.5), PlanError, "takes a pattern, but 0.5 was given"),
        (lambda: rule(3, HALF), PlanError, "selects sites by name or by select"),
        (lambda: rule("a", HALF, views="same"), PlanError, "'fresh' or 'shared', got 'same'"),
        (lambda: rule("a", HALF, axes="batch tmie"), AxisError, "did you mean 'time'"),
        (lambda: rule("a", HALF, mask="same"), PlanError, "'own' or 'one', got 'same'"),
        (lambda: rule("a", HALF, calls="two"), PlanError, "'each' or 'one', got 'two'"),
        (
            lambda: rule("a", TorchDropout(rate=0.1), calls="one"),
            PlanError,
            r"Bernoulli\(rate=0.1\)",
        ),
        (
            lambda: rule("a", TorchDropout(rate=0.1), mask="one"),
            PlanError,
            r"Bernoulli\(rate=0.1\)",
        ),
        (lambda: rule("a", DEEP, mask="one"), PlanError, "another at each depth"),
        (lambda: rule_from_json({"pattern": "Off"}), PlanError, "'sites' and 'pattern'"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_was_given(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "one",
    [
        rule("a.*", HALF),
        rule("a", HALF, views="shared"),
        rule(select("a", type="Linear", depth=(0, 3)), HALF, axes="time batch unit"),
        rule("a.*", HALF, mask="one"),
        rule("a.*", HALF, views="shared", calls="one"),
    ],
)
def test_what_a_rule_prints_can_be_typed_and_what_it_writes_can_be_read(one):
    assert eval(repr(one), {"rule": rule, "select": select, "Bernoulli": Bernoulli}) == one
    assert rule_from_json(one.to_json()) == one


def test_a_site_knows_whether_its_noise_is_the_models_own():
    kinds = ("dropout", "functional", "attention", "between", "output", "weight")
    sites = [Site(name="a", kind=kind, owner="a", type="Linear") for kind in kinds]
    assert [site.native for site in sites] == [True] * 4 + [False] * 2
