"""A plan is a value: JSON both ways, files, differences, and one at a time on a model."""

import json
import pickle
from copy import deepcopy
from dataclasses import FrozenInstanceError

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dropsmith.errors import PlanError, SiteError
from dropsmith.noise.lookup import plan_of
from dropsmith.patterns import Bernoulli, DropConnect, LinearRate, Off, TorchDropout, WordDropout
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.plans.selector import select
from dropsmith.testing import check_json, check_repr
from noise.zoo import FLIPS, mlp

PLAN = Plan(
    rule("embedding", WordDropout(rate=0.1), views="shared"),
    rule(
        select("h.*", type="Block", depth=(0, 6)),
        Bernoulli(rate=LinearRate(start=0.0, end=0.3, steps=9)),
    ),
    rule("**.dropout", TorchDropout(rate=0.2)),
    rule("head.input", Bernoulli(rate=0.5, shared="time"), axes="time batch unit"),
)
NAMES = {
    "Plan": Plan,
    "rule": rule,
    "select": select,
    "Bernoulli": Bernoulli,
    "WordDropout": WordDropout,
}
NAMES |= {"LinearRate": LinearRate, "TorchDropout": TorchDropout, "Off": Off}
PATTERN = st.one_of(
    st.builds(
        Bernoulli, rate=st.floats(0, 0.99), shared=st.sampled_from(["", "time", "batch unit"])
    ),
    st.builds(TorchDropout, rate=st.floats(0, 0.99)),
    st.builds(WordDropout, rate=st.floats(0, 0.99), per=st.sampled_from(["row", "table"])),
    st.just(Off()),
)
RULE = st.builds(
    rule,
    st.text("ab.*0", min_size=1, max_size=8),
    PATTERN,
    views=st.sampled_from(["fresh", "shared"]),
    axes=st.sampled_from([None, "time batch unit", "batch ?"]),
)


@settings(deadline=None)
@given(st.lists(RULE, max_size=4))
def test_every_plan_comes_back_from_json_and_from_its_repr(rules):
    plan = Plan(*rules)
    for copy in (deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        assert copy == plan
        assert hash(copy) == hash(plan)
    check_json(plan, Plan.from_json)
    check_repr(plan, NAMES)


def test_a_plan_comes_back_from_its_file_which_has_a_line_for_each_rule(tmp_path):
    PLAN.save(tmp_path / "plan.json")
    text = (tmp_path / "plan.json").read_text()
    assert len(text.splitlines()) == 2 + len(PLAN.rules)
    assert json.loads(text) == json.loads(json.dumps(PLAN.to_json()))
    assert Plan.load(tmp_path / "plan.json") == PLAN


def test_a_plan_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        PLAN.rules = ()


def test_an_empty_plan_has_a_file_too(tmp_path):
    Plan().save(tmp_path / "plan.json")
    assert Plan.load(tmp_path / "plan.json") == Plan()


def test_adding_plans_puts_their_rules_one_after_the_other():
    first, second = Plan(rule("a", FLIPS)), Plan(rule("b", FLIPS))
    assert (first + second).rules == (*first.rules, *second.rules)


def test_a_difference_names_the_rules_that_change():
    other = Plan(*PLAN.rules[:2], rule("**.dropout", TorchDropout(rate=0.4)), PLAN.rules[3])
    lines = PLAN.diff(other).splitlines()
    assert "-rule('**.dropout', TorchDropout(rate=0.2))" in lines
    assert "+rule('**.dropout', TorchDropout(rate=0.4))" in lines
    assert PLAN.diff(PLAN) == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "not a plan: its format"),
        ({"format": "other"}, "not a plan: its format"),
        ({"format": "dropsmith.plan", "version": 9}, "version 9"),
        ({"format": "dropsmith.plan", "version": 1}, "no list of rules"),
        ({"format": "dropsmith.plan", "version": 1, "rules": [3]}, "'sites' and 'pattern'"),
    ],
)
def test_what_is_no_plan_is_refused(values, words):
    with pytest.raises(PlanError, match=words):
        Plan.from_json(values)


@pytest.mark.parametrize("text", ["{", '{"format": 1}'])
def test_a_file_without_a_plan_is_named(tmp_path, text):
    (tmp_path / "no.json").write_text(text)
    with pytest.raises(PlanError, match=r"cannot read a plan from .*no\.json"):
        Plan.load(tmp_path / "no.json")
    with pytest.raises(PlanError, match=r"missing\.json"):
        Plan.load(tmp_path / "missing.json")


def test_loading_a_plan_runs_no_code_of_the_file(tmp_path):
    rules = '[{"sites": "a", "pattern": "os.system", "rate": 0.1}]'
    text = f'{{"format": "dropsmith.plan", "version": 1, "rules": {rules}}}'
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(PlanError, match=r"no pattern is called 'os\.system'"):
        Plan.load(tmp_path / "plan.json")


def test_a_plan_of_version_1_is_read_and_written_as_version_2():
    rules = [{"sites": "a", "pattern": "Bernoulli", "rate": 0.1, "mask": "one"}]
    plan = Plan.from_json({"format": "dropsmith.plan", "version": 1, "rules": rules})
    assert plan == Plan(rule("a", Bernoulli(rate=0.1), mask="one"))
    assert plan.to_json() == {"format": "dropsmith.plan", "version": 2, "rules": rules}


def test_a_plan_holds_rules_and_nothing_else():
    with pytest.raises(PlanError, match=r"the string 'a' was given[\s\S]*rule\(select"):
        Plan("a")


def test_one_plan_at_a_time_is_on_a_model():
    net, plan = mlp(), Plan(rule("1", FLIPS))
    assert plan_of(net) is None
    with plan.installed(net) as same:
        assert same is net
        assert plan_of(net) == plan
        with pytest.raises(PlanError, match=r"has a plan already[\s\S]*plan\.remove\(model\)"):
            plan.install(net)
    assert plan_of(net) is None


def test_removing_another_plan_shows_the_difference():
    net = mlp()
    Plan(rule("1", FLIPS)).install(net)
    with pytest.raises(PlanError, match=r"another plan[\s\S]*\+rule\('0'"):
        Plan(rule("0", FLIPS)).remove(net)


def test_removing_from_a_model_without_a_plan_is_an_error():
    with pytest.raises(PlanError, match="no plan is installed"):
        Plan().remove(mlp())


def test_an_empty_plan_can_be_installed_and_changes_nothing():
    net = nn.Sequential(nn.Identity())
    with Plan().installed(net):
        assert torch.equal(net(torch.ones(3)), torch.ones(3))


def test_a_list_of_rules_is_to_be_unpacked():
    with pytest.raises(PlanError, match=r"Plan\(\*rules\)"):
        Plan([rule("0", Bernoulli(rate=0.1))])


def test_another_plan_is_taken_off_by_what_the_error_says():
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    Plan(rule("0", Bernoulli(rate=0.1))).install(net)
    with pytest.raises(PlanError, match=r"plan_of\(model\)\.remove\(model\)"):
        Plan(rule("1", Bernoulli(rate=0.1))).remove(net)


@pytest.mark.parametrize(
    ("name", "pattern", "words"),
    [
        ("0", DropConnect(rate=0.1), r"DropConnect goes on weights.*'0' is of kind 'output'"),
        ("0", WordDropout(rate=0.1), r"WordDropout goes on the rows of embeddings"),
        ("0", TorchDropout(rate=0.1), r"TorchDropout goes on noise that the model has"),
        ("0.weight", Bernoulli(rate=0.1), r"Bernoulli goes on tensors that modules take"),
    ],
)
def test_a_pattern_of_another_kind_than_the_site_is_said_to_be_one(name, pattern, words):
    net = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    with pytest.raises(SiteError, match=words):
        Plan(rule(name, pattern)).install(net)
