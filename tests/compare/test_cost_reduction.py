"""What a method saves on its further views is said in its name, one way, or refused."""

from itertools import permutations

import pytest

from dropsmith.compare import CONTROL, METHODS, find_method, full, pick
from dropsmith.compare.cost_reduction import NO_REDUCTION, CostReduction
from dropsmith.errors import TaskError
from dropsmith.objectives import Fraternal, LRDrop, PiModel, RDrop
from dropsmith.tasks import TASKS

TEXT = TASKS["sst2"]
BUDGETS = {"budget": TEXT.budget, "task": TEXT}


@pytest.mark.parametrize("words", list(permutations(("every-4", "share-0.25", "trunk"))))
def test_what_is_saved_has_one_spelling_whatever_the_order_it_is_said_in(words):
    made = CostReduction.of(*words)
    assert made == CostReduction(every=4, share=0.25, trunk=True)
    assert CostReduction.of(*made.ending.split("+")[1:]) == made


def test_names_in_a_comparison_are_spelled_that_way_and_count_once():
    names = ["r-drop+trunk+every-2", "r-drop+every-02+trunk", "r-drop+share-.50"]
    assert pick(names, TEXT) == (CONTROL, "r-drop+every-2+trunk", "r-drop+share-0.5")


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        ("r-drop+every-4", RDrop(alpha=1.0, every=4)),
        ("r-drop+share-0.5", RDrop(alpha=1.0, batch_fraction=0.5)),
        ("r-drop+trunk", RDrop(alpha=1.0)),
        ("fraternal+every-2", Fraternal(kappa=0.03, every=2)),
        ("pi+share-0.25", PiModel(kappa=0.03, batch_fraction=0.25)),
        ("lr-drop+every-2", LRDrop(hidden=1.0, attention=100.0, output=1.0, every=2)),
    ],
)
def test_the_objective_is_the_methods_own_and_saves(name, objective):
    method, whole = find_method(name), METHODS[full(name)]
    assert method.goal(method.settings[0]) == objective
    assert method.settings == whole.settings
    assert method.plan(TEXT, {"rate": 0.3}) == whole.plan(TEXT, {"rate": 0.3})


def test_values_are_agreed_on_in_a_share_of_the_batch_too():
    goal = find_method("r-drop+share-0.5").goal({"rate": 0.3, "alpha": 2.0}, "regression")
    assert goal == RDrop(alpha=2.0, kind="regression", batch_fraction=0.5)


def test_only_a_trunk_names_a_module_and_it_is_the_tasks():
    assert find_method("r-drop+trunk").trunk(TEXT) == TEXT.upper == "layers.1"
    assert find_method("r-drop+every-2").trunk(TEXT) is None
    assert find_method("r-drop").reduction == NO_REDUCTION


def test_what_is_saved_is_said_in_words():
    about = find_method("r-drop+every-3+trunk").about
    assert about == (
        METHODS["r-drop"].about + "; at every 3rd step; the lower layers run once for all views"
    )
    assert find_method("r-drop+share-0.5").about.endswith("; on 50 % of the batch")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("r-drop+trunks", r"'\+trunks' is no reduction[\s\S]*\+every-K[\s\S]*'trunk'"),
        ("r-drop+evry-2", r"'\+evry-2' is no reduction[\s\S]*did you mean 'every'"),
        ("r-drop+every-1", r"'\+every-1': every-K takes a whole number of 2 or more, got '1'"),
        ("r-drop+every-0", r"'\+every-0': every-K takes a whole number of 2 or more, got '0'"),
        ("r-drop+every", r"'\+every': every-K takes a whole number of 2 or more, got ''"),
        ("r-drop+every-²", r"'\+every-²': every-K takes a whole number"),
        ("r-drop+every-x", r"'\+every-x': every-K takes a whole number"),
        ("r-drop+share-1", r"'\+share-1': share-S takes a number between 0 and 1, got '1'"),
        ("r-drop+share-0", r"'\+share-0': share-S takes a number between 0 and 1, got '0'"),
        ("r-drop+share-nan", r"'\+share-nan': share-S takes a number between 0 and 1, got 'nan'"),
        ("r-drop+trunk-2", r"'\+trunk-2': trunk takes no number, got '2'"),
        ("r-drop+", r"'\+'"),
        ("r-drop+every-2+every-4", "every is given twice"),
        ("r-dorp+trunk", "no method is called 'r-dorp'"),
        ("dropout+every-2", r"'dropout' makes one pass[\s\S]*fraternal, pi"),
        ("two-sample+every-2", "'two-sample' has no consistency loss"),
        ("expectation-linear+trunk", "'expectation-linear' makes a pass without noise"),
        ("r-drop+trunk+share-0.5", r"whole batch[\s\S]*r-drop\+trunk or r-drop\+share-0\.5"),
    ],
)
def test_what_cannot_be_saved_is_refused_with_what_can(name, message):
    with pytest.raises(TaskError, match=message):
        pick([name], TEXT)


@pytest.mark.parametrize("word", ["every", "every-0", "share-2", "trunk-1"])
def test_a_word_that_is_known_is_not_offered_again(word):
    with pytest.raises(TaskError) as raised:
        CostReduction.of(word)
    assert "did you mean" not in str(raised.value)


def test_a_model_without_layers_to_share_is_refused_by_name():
    with pytest.raises(TaskError, match=r"'r-drop\+trunk' does not fit.*no stack of layers"):
        pick(["r-drop+trunk"], TASKS["digits"])
    assert pick(["r-drop+every-4"], TASKS["digits"]) == (CONTROL, "r-drop+every-4")
