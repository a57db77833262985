"""Methods: every one is equally tuned, fits a task or is refused, and brings its control."""

import pytest

from dropsmith.compare import CONTROL, METHODS, find_method, pick, spell_setting, usual
from dropsmith.errors import TaskError
from dropsmith.objectives import LRDrop
from dropsmith.tasks import TASKS, find_task

DIGITS = find_task("digits")


def test_every_method_has_as_many_settings_as_every_other_and_no_two_alike():
    assert {len(method.settings) for method in METHODS.values()} == {6}
    for name, method in METHODS.items():
        assert len({tuple(one.items()) for one in method.settings}) == 6, name


@pytest.mark.parametrize("name", METHODS)
def test_the_stated_number_of_views_is_that_of_the_objective(name):
    method = METHODS[name]
    for setting in method.settings:
        assert method.goal(setting).views_at(1) == method.views


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_every_kind_of_noise_a_task_has_belongs_to_some_method(task):
    assert set(task.noises) <= {method.noise for method in METHODS.values()}


@pytest.mark.parametrize("name", METHODS)
def test_a_fitting_method_places_its_rate_in_the_plan_and_its_numbers_in_the_objective(name):
    method = METHODS[name]
    task = next(task for task in TASKS.values() if method.fits(task))
    setting = method.settings[-1]
    rates = {one.pattern.rate for one in method.plan(task, setting).rules}
    assert max(rates, default=None) == (setting["rate"] if method.noise else None)
    goal = method.goal(setting).to_json()
    own = {key: value for key, value in setting.items() if key in ("alpha", "kappa")}
    assert own.items() <= goal.items()


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("early", {1: 0.3, 100: 0.3, 101: 0.0, 200: 0.0}),
        ("late", {1: 0.0, 100: 0.0, 101: 0.3, 200: 0.3}),
        ("linear", {0: 0.0, 50: 0.15, 100: 0.3, 200: 0.3}),
    ],
)
def test_a_schedule_changes_the_rate_of_every_rule_at_its_share_of_the_run(name, rates):
    method, setting = METHODS[name], {"rate": 0.3, "share": 0.5}
    plan = method.plan(DIGITS, setting)
    made = method.with_schedule(plan, setting, 200)
    assert [one.selector for one in made.rules] == [one.selector for one in plan.rules]
    for one in made.rules:
        assert {step: one.pattern.rate_at(step) for step in rates} == rates


def test_a_method_without_a_schedule_keeps_its_plan():
    plan = METHODS["blocks"].plan(DIGITS, {"rate": 0.3})
    assert METHODS["blocks"].with_schedule(plan, {"rate": 0.3}, 200) == plan


def test_only_the_weight_decay_of_a_budget_is_ever_tuned():
    for method in METHODS.values():
        for setting in method.settings:
            budget = method.budget(DIGITS.budget, setting)
            assert budget.weight_decay == setting.get("weight_decay", DIGITS.budget.weight_decay)
            assert budget.epochs == DIGITS.budget.epochs


def test_two_view_methods_bring_the_control_along_before_the_first_of_them():
    assert pick(["none", "r-drop", "pi"], DIGITS) == ("none", CONTROL, "r-drop", "pi")


def test_one_view_methods_need_no_control():
    assert pick(["none", "dropout"], DIGITS) == ("none", "dropout")


def test_bernoulli_is_another_word_for_dropout_and_repeats_count_once():
    assert pick(["bernoulli", " dropout", "none", "bernoulli"], DIGITS) == ("dropout", "none")


def test_a_method_that_does_not_fit_is_refused_with_those_that_do():
    with pytest.raises(TaskError, match=r"'words' does not fit the task 'digits'[\s\S]*blocks"):
        pick(["none", "words"], DIGITS)


def test_layers_are_compared_where_a_model_has_blocks_and_nowhere_else():
    assert pick(["lr-drop"], TASKS["sst2"]) == (CONTROL, "lr-drop")
    with pytest.raises(TaskError, match=r"'lr-drop' does not fit[\s\S]*no Transformer blocks"):
        pick(["lr-drop"], DIGITS)
    objective = METHODS["lr-drop"].goal({"rate": 0.3, "hidden": 2.0, "attention": 9, "output": 4})
    assert objective == LRDrop(hidden=2.0, attention=9, output=4)


def test_a_misspelt_method_is_named_with_its_likely_correction():
    with pytest.raises(TaskError, match=r"no method is called 'r-dorp'[\s\S]*'r-drop'"):
        pick(["r-dorp"], DIGITS)


def test_no_method_at_all_is_refused():
    with pytest.raises(TaskError, match="no method to compare"):
        pick([], DIGITS)


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_the_usual_methods_of_every_task_fit_it_and_hold_both_baselines(task):
    assert usual(task)[:2] == ("none", "dropout")
    assert set(usual(task)) <= set(pick(usual(task), task))


def test_a_setting_is_written_as_a_reader_would():
    assert spell_setting({"weight_decay": 0.01}) == "weight decay 0.01"


def test_methods_of_two_views_run_on_the_noise_the_task_names_for_them():
    text, images = TASKS["penn-treebank"], TASKS["digits"]
    setting = {"rate": 0.5, "kappa": 0.1}
    assert METHODS["fraternal"].plan(text, setting) == METHODS["awd"].plan(text, setting)
    assert METHODS["fraternal"].plan(images, setting) == METHODS["dropout"].plan(images, setting)


@pytest.mark.parametrize(("name", "number"), [("dropout", "rate"), ("early", "share")])
def test_a_setting_from_a_file_without_a_number_of_its_method_is_an_error(name, number):
    method, task = find_method(name), find_task("digits")
    setting = {key: value for key, value in method.settings[0].items() if key != number}
    with pytest.raises(TaskError, match=f"a setting of this method has a '{number}', got"):
        method.with_schedule(method.plan(task, setting), setting, 10)
