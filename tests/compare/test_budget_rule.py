"""Budget rules: what runs of different methods have equally much of."""

from dataclasses import replace
from math import nan

import pytest

from compare.synthetic import TASK, design
from dropsmith.compare import (
    CEILING,
    RULES,
    budget_by_rule,
    compare,
    reached_ceiling,
    setup_id,
)
from dropsmith.errors import TaskError
from dropsmith.record import Record
from dropsmith.tasks import learning_rates
from dropsmith.train import steps_of

METHODS = ("dropout", "two-sample", "r-drop+every-4", "lr-drop")
SMALL = replace(TASK.budget, epochs=3, batch_size=20)


def setups(rule, **change):
    made = design(METHODS, equal=rule, budget=SMALL, limit=90, trials=1, **change)
    return {name: made.setup(name, made.settings(name)[0], 0) for name in METHODS}


def test_updates_are_those_of_a_method_of_one_view():
    steps = {name: steps_of(setup) for name, setup in setups("updates").items()}
    assert set(steps.values()) == {steps_of(setups("views")["dropout"])} == {14}
    assert steps_of(setups("views")["two-sample"]) == 7


def test_a_method_of_one_view_has_one_record_under_both_rules_and_others_have_two():
    ids = {rule: {n: setup_id(s) for n, s in setups(rule).items()} for rule in ("views", "updates")}
    same = {name for name in METHODS if ids["views"][name] == ids["updates"][name]}
    assert same == {"dropout"}


def test_the_record_holds_the_rule_where_it_is_not_that_of_earlier_records():
    budgets = {name: setup.to_json()["budget"] for name, setup in setups("updates").items()}
    assert {name: budget.get("equal") for name, budget in budgets.items()} == {
        "dropout": None,
        "two-sample": "updates",
        "r-drop+every-4": "updates",
        "lr-drop": "updates",
    }


def test_to_convergence_the_rate_falls_where_validation_stands_still():
    budget = setups("converged", patience=4)["two-sample"].budget
    assert (budget.equal, budget.patience, budget.epochs) == ("updates", 4, CEILING * 3)
    assert budget.schedule == learning_rates.Plateau(factor=2, patience=2)


@pytest.mark.parametrize(
    "schedule",
    [learning_rates.Constant(), learning_rates.Staircase(factor=2, after=1)],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_schedule_of_no_certain_length_stays(schedule):
    budget = budget_by_rule(replace(SMALL, schedule=schedule), "converged", 1)
    assert budget.schedule == schedule


def test_a_run_to_convergence_ends_its_patience_after_its_best_evaluation(tmp_path):
    made = design(
        ("none",),
        equal="converged",
        patience=2,
        budget=replace(SMALL, learning_rate=0.05),
        limit=60,
        trials=1,
        seeds=1,
    )
    made_comparison = compare(made, tmp_path, processes=1)
    assert made_comparison.equal == "converged"
    losses = [step["validation_nll"] for step in made_comparison.records[0].curve]
    assert len(losses) < CEILING * 3
    assert losses.index(min(losses)) == len(losses) - 3
    assert not reached_ceiling(made_comparison.records[0])


@pytest.mark.parametrize(
    ("losses", "patience", "change", "reached"),
    [
        ([3, 2, 1, 2], 2, {}, True),  # one evaluation since the best
        ([3, 1, 2, 2], 2, {}, False),  # converged with the last evaluation it had
        ([3, 1, 1, 1], 2, {}, False),  # an equal loss is not a better one
        ([nan, 3, 2, 3], 2, {}, True),
        ([3, 1, 2, nan], 2, {}, False),
        ([4, 3, 2], 2, {}, False),  # its schedule ended it before
        ([3, 2, 1, 2], None, {}, False),
        ([3, 2, 1, 2], 2, {"status": "stopped: the loss is inf"}, False),
    ],
)
def test_a_run_is_at_the_ceiling_if_its_epochs_ended_before_its_patience(
    losses, patience, change, reached
):
    curve = [{"epoch": epoch, "validation_nll": loss} for epoch, loss in enumerate(losses, 1)]
    budget = {"epochs": 4, "patience": patience}
    assert reached_ceiling(Record(config={"budget": budget}, curve=tuple(curve), **change)) == (
        reached
    )


def test_a_run_that_is_given_more_patience_than_evaluations_is_at_the_ceiling(tmp_path):
    made = design(
        ("none",),
        equal="converged",
        patience=99,
        budget=replace(SMALL, epochs=1),
        limit=60,
        trials=1,
        seeds=1,
    )
    record = compare(made, tmp_path, processes=1).records[0]
    assert len(record.curve) == CEILING
    assert reached_ceiling(record)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"equal": "update"}, r"no budget rule is called 'update'[\s\S]*did you mean 'updates'"),
        ({"equal": None}, "no budget rule is called None"),
        ({"patience": 0}, "patience"),
        ({"patience": 1.5}, "patience"),
    ],
)
def test_what_is_no_rule_is_refused(change, words):
    with pytest.raises(TaskError, match=words):
        design(**change)
    assert RULES == ("views", "updates", "converged")
