"""What is no model, objective, plan, pattern or space is refused where it is given, in one error.

The error says what takes what and what was there, and its last line can be typed.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.errors import (
    DropsmithError,
    ModelError,
    ObjectiveError,
    PlanError,
    SearchError,
)
from dropsmith.instances import describe
from dropsmith.objectives import ActivationNorm, from_json
from dropsmith.pattern_search import make_sampler
from dropsmith.tasks import Budget
from dropsmith.train import Setup

HALF = ds.Bernoulli(rate=0.5)
PLAN = ds.Plan(ds.rule("1", HALF))
X = torch.ones(4, 3)
BUDGET = Budget(epochs=1, batch_size=2, learning_rate=0.1)


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2))


def setup(**values: Any) -> Setup:
    usual = {"plan": PLAN, "objective": ds.TaskLoss(), "budget": BUDGET}
    return Setup(task="digits", method="m", seed=0, **usual | values)


MODEL_TAKERS: dict[str, Callable[[Any], Any]] = {
    "consistent": lambda m: ds.consistent(m, ds.RDrop(alpha=1), loss="classification"),
    "restore": ds.restore,
    "terms_of": ds.terms_of,
    "install": lambda m: PLAN.install(m),
    "installed": lambda m: PLAN.installed(m).__enter__(),
    "remove": lambda m: PLAN.remove(m),
    "transfer": lambda m: PLAN.transfer(m, X),
    "audit": lambda m: ds.audit(m, X),
    "sites": lambda m: ds.sites(m, X),
    "views": lambda m: ds.views(m, X),
    "predict": lambda m: ds.predict(m, X),
    "taps": lambda m: ds.taps(m, hidden="**").__enter__(),
    "noise_of": ds.noise_of,
    "plan_of": ds.plan_of,
    "step": lambda m: ds.step(m, 1),
    "convert": ds.recurrent.convert,
    "revert": ds.recurrent.revert,
    "spaces.conv": lambda m: ds.spaces.conv(m, X),
    "spaces.sequence": lambda m: ds.spaces.sequence(m, X),
}
NO_MODELS = {
    "a name": ("bert-base-uncased", "load the model of this name"),
    "a class": (nn.Linear, r"write Linear\(\.\.\.\)"),
    "a function": (torch.relu, "a function was given"),
    "nothing": (None, "None was given"),
    "a wrapper": (SimpleNamespace(model=net()), r"give its \.model"),
}


@pytest.mark.parametrize("taker", MODEL_TAKERS.values(), ids=MODEL_TAKERS)
@pytest.mark.parametrize(("value", "words"), NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_model_is_refused_by_whatever_takes_a_model(taker, value, words):
    with pytest.raises(ModelError, match=words):
        taker(value)


def test_a_model_and_an_objective_in_the_wrong_order_are_told_the_right_one():
    with pytest.raises(ModelError, match=r"write consistent\(model, objective\)"):
        ds.consistent(ds.RDrop(alpha=1), net())  # pyright: ignore


class Cosine(ds.RDrop):
    """An objective of somebody's own."""


OBJECTIVE_TAKERS: dict[str, Callable[[Any], Any]] = {
    "consistent": lambda o: ds.consistent(net(), o, loss="classification"),
    "ActivationNorm": lambda o: ActivationNorm(of=o),
    "Setup": lambda o: setup(objective=o),
}
NO_OBJECTIVES = {
    "a name": ("rdrop", "did you mean RDrop(alpha=1.0)?"),
    "a method's name": ("r-drop", "did you mean RDrop(alpha=1.0)?"),
    "a typo": ("fraternl", "did you mean Fraternal(kappa=0.1)?"),
    "two words": ("two_sample", "did you mean TwoSample()?"),
    "no name": ("mixup", "write RDrop(alpha=1.0), for example"),
    "a class": (ds.Fraternal, "the class Fraternal was given\n  write Fraternal(kappa=0.1)"),
    "the base": (ds.Objective, "write RDrop(alpha=1.0)"),
    "an own class": (Cosine, "write Cosine(alpha=...)"),
    "JSON": ({"objective": "RDrop", "alpha": 1}, "write dropsmith.objectives.from_json(values)"),
    "a function": (from_json, "a function was given\n  write RDrop(alpha=1.0), for example"),
    "a plan": (PLAN, "a value of type Plan was given"),
    "nothing": (None, "None was given"),
    "a number": (5.0, "5.0 was given"),
}


@pytest.mark.parametrize("taker", OBJECTIVE_TAKERS.values(), ids=OBJECTIVE_TAKERS)
@pytest.mark.parametrize(("value", "words"), NO_OBJECTIVES.values(), ids=NO_OBJECTIVES)
def test_what_is_no_objective_is_refused_with_the_line_to_type(taker, value, words):
    with pytest.raises(ObjectiveError) as caught:
        taker(value)
    assert words in str(caught.value)
    assert str(caught.value).count("\n") == 1


PLAN_TAKERS: dict[str, Callable[[Any], Any]] = {
    "consistent": lambda p: ds.consistent(net(), ds.RDrop(alpha=1), loss="classification", plan=p),
    "predict": lambda p: ds.predict(net(), X, plan=p),
    "Setup": lambda p: setup(plan=p),
    "+": lambda p: PLAN + p,
    "diff": lambda p: PLAN.diff(p),
    "Plan.install": lambda p: ds.Plan.install(p, net()),
    "Plan.remove": lambda p: ds.Plan.remove(p, net()),
    "Plan.transfer": lambda p: ds.Plan.transfer(p, net(), X),
}
NO_PLANS = {
    "a file": ("best.json", "write Plan.load('best.json')"),
    "a class": (ds.Plan, 'write Plan(rule(select(kind="dropout"), Bernoulli(rate=0.1)))'),
    "a rule": (ds.rule("1", HALF), "write Plan(rule('1', Bernoulli(rate=0.5)))"),
    "rules": ([ds.rule("1", HALF)], "write Plan(*rules)"),
    "a pattern": (HALF, 'write Plan(rule(select(kind="dropout"), Bernoulli(rate=0.5)))'),
    "JSON": (PLAN.to_json(), "write Plan.from_json(values)"),
    "a number": (0.5, "0.5 was given"),
    "a model": (net(), "a value of type Sequential was given"),
}


@pytest.mark.parametrize("taker", PLAN_TAKERS.values(), ids=PLAN_TAKERS)
@pytest.mark.parametrize(("value", "words"), NO_PLANS.values(), ids=NO_PLANS)
def test_what_is_no_plan_is_refused_with_the_line_to_type(taker, value, words):
    with pytest.raises(PlanError) as caught:
        taker(value)
    assert words in str(caught.value)
    assert str(caught.value).count("\n") == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (ds.rule("1", HALF), None),
        ([ds.rule("1", HALF)], "write Plan(*rules)"),
        (HALF, 'write rule(select(kind="dropout"), Bernoulli(rate=0.5))'),
        (PLAN, "write plan + other"),
        ("encoder.*", 'write rule(select(kind="dropout"), Bernoulli(rate=0.1)), for example'),
    ],
)
def test_what_a_plan_holds_is_a_rule(value, words):
    if words is None:
        assert len(ds.Plan(value).rules) == 1
        return
    with pytest.raises(PlanError) as caught:
        ds.Plan(value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.3, "write Bernoulli(rate=0.3)"),
        (3, "write Bernoulli(rate=0.1), for example"),
        (True, "write Bernoulli(rate=0.1), for example"),
        (nn.Dropout(0.4), "write Bernoulli(rate=0.4)"),
        (nn.Linear(2, 2), "a value of type Linear was given"),
        (ds.Gaussian, "write Gaussian(rate=0.1)"),
        ("gausian", "did you mean Gaussian(rate=0.1)?"),
        ("drop-block", "did you mean DropBlock(rate=0.1, size=3)?"),
        ("dropout", "did you mean Bernoulli(rate=0.1)?"),
        (ds.LinearRate(start=0.0, end=0.5, steps=10), "write Bernoulli(rate=LinearRate("),
        (None, "None was given"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_line_to_type(value, words):
    with pytest.raises(PlanError) as caught:
        ds.rule("1", value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("space.json", "spaces.conv(model, batch)"),
        (PLAN, "a plan is a single one"),
        (net(), "a value of type Sequential was given"),
        (None, "None was given"),
    ],
)
def test_what_is_no_space_is_refused_before_anything_is_searched(value, words):
    for sampler in ("random", 3, []):
        with pytest.raises(SearchError, match=r"takes a space") as caught:
            ds.search(lambda plan: 0.0, value, trials=1, sampler=sampler, executor="serial")
        assert words in str(caught.value)


@pytest.mark.parametrize("name", [3, None, [], "tpee"])
def test_a_sampler_is_called_by_a_name_that_there_is(name):
    convolution = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    space = ds.spaces.conv(convolution, torch.zeros(2, 1, 9, 9))
    with pytest.raises(SearchError, match="no sampler is called"):
        make_sampler(name, space, 0)


SETTINGS: dict[str, Any] = {
    "loss": ["clasification", 3, nn.CrossEntropyLoss(), nn.CrossEntropyLoss, ["tokens"]],
    "label_smoothing": [2, 1.0, -0.1, "0.1", float("nan"), True, None],
    "class_weights": [
        [],
        [0, 0],
        [1, -1],
        2.0,
        "12",
        {"a": 1},
        [1, "x"],
        [float("nan")],
        [[1], [2]],
    ],
    "mode": ["loopd", ["looped"], None, 1],
    "head": ["fusd", None, []],
    "trunk": [1, ["1"]],
    "rows": ["batch", 0, ["x"]],
    "scores": [1.5, True, ["logits"]],
    "seed": ["1", 0.5, None, 2**70],
    "rank": [-1, "0", 0.0],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in SETTINGS.items() for value in values]
)
def test_a_setting_out_of_range_is_refused_and_leaves_the_model_as_it_was(name, value):
    model = net()
    before = set(model.__dict__), len(model._forward_hooks), len(model._forward_pre_hooks)
    settings = {"loss": "classification"} | {name: value}
    with pytest.raises(DropsmithError):
        ds.consistent(model, ds.RDrop(alpha=1), **settings)
    assert (set(model.__dict__), len(model._forward_hooks), len(model._forward_pre_hooks)) == before


@pytest.mark.parametrize("values", [{"budget": "full"}, {"trunk": 3}, {"budget": Budget}])
def test_a_setup_takes_a_budget_and_the_name_of_a_trunk(values):
    with pytest.raises(DropsmithError, match=r"budget|trunk"):
        setup(**values)


def test_a_value_of_the_wrong_type_is_described_in_one_short_line():
    long = ["x" * 1000, type("C" * 10, (), {})(), {"a": [0] * 1000}, 10**6000, net()]
    assert all(len(describe(value)) < 120 and "\n" not in describe(value) for value in long)
