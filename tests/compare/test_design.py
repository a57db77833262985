"""A design: equal terms, refused where they cannot be."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from compare.synthetic import TASK, design, record
from dropsmith.compare import METHODS, TUNING_SEED, Trial, check, spell_setting
from dropsmith.compare.design import best
from dropsmith.errors import PlanError, SiteError, TaskError
from dropsmith.patterns import Bernoulli, EarlyRate
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.tasks import Task
from dropsmith.train import Start

SETUP = design().setup("dropout", {"rate": 0.3}, TUNING_SEED)


def test_every_method_has_the_same_number_of_trials_and_seeds_and_epochs():
    made = design(tuple(METHODS)[:4], seeds=5, trials=2)
    for method in made.methods:
        trials, runs = made.trial_setups(method), made.reported_setups(method, {"rate": 0.2})
        assert (len(trials), len(runs)) == (2 * 2, 5)
        assert {setup.budget.epochs for setup in trials + runs} == {TASK.budget.epochs}


@pytest.mark.parametrize(("share", "steps"), [(0.5, 280), (0.25, 140)])
def test_a_schedule_is_counted_in_the_steps_that_a_run_really_makes(share, steps):
    # 700 pictures in batches of 50 are 14 steps an epoch, and 40 epochs 560.
    setup = design().setup("early", {"rate": 0.3, "share": share}, 0)
    assert {one.pattern.rate for one in setup.plan.rules} == {EarlyRate(rate=0.3, steps=steps)}


def test_the_tuning_seeds_are_never_reported():
    made = design(seeds=4, tuning_seeds=3)
    tried = [setup.seed for setup in made.trial_setups("dropout")]
    assert tried == 3 * [TUNING_SEED, TUNING_SEED + 1, TUNING_SEED + 2]
    reported = made.reported_setups("dropout", {"rate": 0.3})
    assert [setup.seed for setup in reported] == [0, 1, 2, 3]


def test_one_trial_leaves_nothing_to_choose_and_is_not_run():
    assert design(trials=1).trial_setups("dropout") == []


@pytest.mark.parametrize(
    "changes", [{"seeds": 0}, {"trials": 0}, {"trials": 7}, {"tuning_seeds": 0}]
)
def test_numbers_that_cannot_be_are_refused(changes):
    with pytest.raises(TaskError, match=next(iter(changes))):
        design(**changes)


def test_rates_that_are_given_are_those_that_every_noisy_method_tries_beside_its_other_numbers():
    made = design(("none", "dropout", "two-sample", "r-drop"), trials=2, rates=(0.05, 0.25))
    assert (
        made.settings("dropout") == made.settings("two-sample") == ({"rate": 0.05}, {"rate": 0.25})
    )
    usual = METHODS["r-drop"].settings
    assert made.settings("r-drop") == (
        {"rate": 0.05, "alpha": usual[0]["alpha"]},
        {"rate": 0.25, "alpha": usual[1]["alpha"]},
    )
    assert made.settings("none") == METHODS["none"].settings[:2]
    rates = [one.plan.rules[0].pattern.rate for one in made.trial_setups("r-drop")]
    assert rates == [0.05, 0.05, 0.25, 0.25]


@pytest.mark.parametrize("rates", [(0.1,), (0.1, 0.1), (0.1, 0.2, 0.3)])
def test_rates_that_are_not_one_for_each_trial_are_refused(rates):
    with pytest.raises(TaskError, match="as many different rates as trials"):
        design(trials=2, rates=rates)


def test_every_method_and_plan_tries_the_same_learning_rates():
    made = design(
        ("none", "dropout", "r-drop", "mine"),
        trials=2,
        rates=(0.1, 0.1),
        learning_rates=(1e-3, 5e-4),
        plans=(("mine", Plan()),),
    )
    for method in made.methods:
        tried = [setup.budget.learning_rate for setup in made.trial_setups(method)]
        assert tried == [1e-3, 1e-3, 5e-4, 5e-4], method
    assert made.settings("dropout") == (
        {"rate": 0.1, "learning_rate": 1e-3},
        {"rate": 0.1, "learning_rate": 5e-4},
    )
    (run, *_) = made.reported_setups("r-drop", made.settings("r-drop")[1])
    assert (run.budget.learning_rate, run.objective.alpha) == (5e-4, 0.3)


def test_learning_rates_that_are_not_one_for_each_trial_are_refused():
    with pytest.raises(TaskError, match=r"2 trials need 2 learning rates, got 0\.001"):
        design(trials=2, learning_rates=(1e-3,))


def test_rates_that_no_method_would_try_are_refused():
    with pytest.raises(TaskError, match="no method has a rate: none"):
        design(("none",), trials=2, rates=(0.1, 0.2))


def trials(*losses):
    """A trial for each loss, or list of losses by tuning seed; None for a run that failed."""
    return [
        Trial(
            setting={"rate": index / 10},
            records=tuple(
                record(SETUP, loss or 0.0, status="finished" if loss else "stopped")
                for loss in (several if isinstance(several, list) else [several])
            ),
        )
        for index, several in enumerate(losses)
    ]


@pytest.mark.parametrize(
    ("losses", "chosen"),
    [
        ((0.3, 0.1, 0.2), 1),
        ((0.2, 0.2), 0),
        ((None, 0.4), 1),
        ((math.nan, 0.4), 1),
        ((math.inf, 0.4), 1),
        (([0.1, 0.5], [0.3, 0.2]), 1),
        (([0.1, None], [0.3, 0.9]), 1),
        (([0.1, math.nan], [0.3, 0.9]), 1),
    ],
)
def test_the_least_mean_validation_loss_is_chosen_and_the_earlier_of_equals(losses, chosen):
    assert best(trials(*losses)).setting == {"rate": chosen / 10}


def test_nothing_is_chosen_where_no_trial_finished():
    assert best(trials(None, None)) is None


def test_the_choice_is_blind_to_the_test_set():
    first, second = trials(0.3, 0.1)
    (run,) = first.records
    good_on_test = replace(run, scores=run.scores | {"test_nll": 0.0})
    assert best([replace(first, records=(good_on_test,)), second]) == second


@dataclass(frozen=True)
class Elsewhere(Task):
    """Digits whose plan names a module that is not there."""

    name = "elsewhere"
    noises = ("dropout",)
    budget = TASK.budget

    def load(self, data=None, limit=None):
        return TASK.load(data, limit)

    def model(self, data):
        return TASK.model(data)

    def plan(self, noise, rate):
        return Plan(rule("hiden", Bernoulli(rate=rate)))

    def loss(self, output, batch):
        return TASK.loss(output, batch)


def test_a_plan_that_matches_nothing_is_found_before_anything_runs():
    check(design(("none", "dropout")))
    with pytest.raises((SiteError, PlanError), match="matched no site"):
        check(replace(design(), task=Elsewhere()))


def test_trials_and_reported_runs_begin_from_the_weights_that_are_given():
    start = Start(weights=Path("model.safetensors"), sha256="ab")
    made = design(("none", "r-drop"), start=start)
    for method in made.methods:
        chosen = made.settings(method)[0]
        setups = made.trial_setups(method) + made.reported_setups(method, chosen)
        assert {setup.start for setup in setups} == {start}


def test_weights_of_another_model_are_found_before_anything_runs(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(TaskError, match="are of another model"):
        check(design(("none",), start=Start.of(tmp_path / "other.safetensors")))


def test_a_plan_is_a_method_with_nothing_to_tune_beside_those_that_are_tuned():
    plan = Plan(rule("convs.*", Bernoulli(rate=0.15)))
    made = design(("dropout", "learned"), plans=(("learned", plan),), seeds=2)
    assert made.trial_setups("learned") == []
    assert len(made.trial_setups("dropout")) == 3 * 2
    (setting,) = made.settings("learned")
    runs = made.reported_setups("learned", setting)
    assert [(run.plan, run.seed, run.budget) for run in runs] == [
        (plan, 0, TASK.budget),
        (plan, 1, TASK.budget),
    ]


def test_of_several_plans_each_is_tried_on_seeds_that_did_not_choose_them():
    plans = tuple(Plan(rule("convs.*", Bernoulli(rate=rate))) for rate in (0.1, 0.2, 0.3, 0.4))
    made = design(("dropout", "learned"), plans=(("learned", plans),), plans_seen=2)
    tried = made.trial_setups("learned")
    assert [run.plan for run in tried[::2]] == list(plans[: made.trials])
    assert [run.seed - TUNING_SEED for run in tried[:2]] == [2, 3]
    assert {run.seed - TUNING_SEED for run in made.trial_setups("dropout")} == {0, 1}
    second = made.settings("learned")[1]
    assert spell_setting(second) == "weight decay 0.01, plan 2"
    assert {run.plan for run in made.reported_setups("learned", second)} == {plans[1]}


def test_a_method_of_no_plans_is_refused():
    with pytest.raises(TaskError, match="'learned' has no plan"):
        design(("learned",), plans=(("learned", ()),))


@pytest.mark.parametrize(
    ("name", "methods", "words"),
    [
        ("dropout", ("dropout",), "which is the name of a method"),
        ("learned", ("dropout",), "not among the methods"),
    ],
)
def test_a_plan_needs_a_name_of_its_own_among_the_methods(name, methods, words):
    with pytest.raises(TaskError, match=words):
        design(methods, plans=((name, Plan()),))


def test_a_plan_that_matches_nothing_is_found_before_anything_runs_too():
    plan = Plan(rule("nowhere", Bernoulli(rate=0.1)))
    with pytest.raises(SiteError, match="nowhere"):
        check(design(("none", "own"), plans=(("own", plan),)))


def test_the_bounds_of_a_task_reach_every_run_and_every_child():
    from dropsmith.learn import child_setup
    from dropsmith.tasks import Bounds, DataOptions, find_task

    options = DataOptions(bounds=Bounds(rows=5))
    task = find_task("digits", data_options=options)
    made = replace(design(("none", "r-drop")), task=task)
    for method in made.methods:
        setups = made.trial_setups(method) + made.reported_setups(method, made.settings(method)[0])
        assert {setup.data_options for setup in setups} == {options}
    assert child_setup(task, task.budget).data_options == options
