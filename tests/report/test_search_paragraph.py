"""The paragraph of a search names a plan, its certainty and its cost, and a command that runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from dropsmith.compare import Conclusion, answer
from dropsmith.report import Place, answer_text, search_answer, search_page
from learn.small import problem, searched, searches, trial
from report.retrained import retrained

pytestmark = pytest.mark.usefixtures("undrawn_pictures")

TRIALS = [trial(n, (n % 3, n % 2, n % 3), 1 / (n + 1), seconds=2.0 + n) for n in range(4)]
FOUND = searches(searched(*TRIALS))
PLACE = Place(folder=Path("here"))
TEST_SET = "The command that compares the best plans with other methods on the test set:"


def test_before_a_comparison_it_names_the_plan_its_doubt_and_its_cost():
    result = search_answer(FOUND, None, PLACE)
    assert result.text == (
        "Use plan 1 (trial 3 of controller): its validation NLL is 0.2500, the lowest of 4 scores, "
        "whose median is 0.4167. It is not known yet whether this plan is better than plain "
        "dropout: the lowest of many scores on validation is partly luck, and the test set was not "
        f"used. A trial took 3.5 s (median), all trials 14 s. {TEST_SET}"
    )
    assert result.command.startswith("dropsmith search digits --trials 4 --sampler controller")
    assert result.command.endswith("--retrain-seeds 3 --out here")


def test_one_score_is_not_the_lowest_of_many():
    text = search_answer(searches(searched(TRIALS[0]))).text
    assert "the only plan with a score: its validation NLL is 1.0000." in text
    assert "one score on validation says little" in text
    assert "The trial took 2.0 s." in text


def test_without_a_score_it_names_the_fault_and_tries_more():
    failed = trial(0, status="failed", why="TrainingError: not finite")
    result = search_answer(searches(searched(failed)))
    assert "none of the 1 trials has a score (trial 0: TrainingError: not finite)" in result.text
    assert "--trials 2 " in result.command


def test_a_recipe_is_trained_under_its_plan():
    run = replace(FOUND.runs[0], command_words=("cifar10/auto-dropout",))
    result = search_answer(searches(run), None, PLACE)
    assert result.text.endswith("The command that trains the recipe under this plan:")
    assert result.command == "dropsmith train cifar10/auto-dropout --plan here/plan.json"


def test_a_search_that_no_command_makes_trains_its_task():
    config = problem().config | {"budget": problem().config["budget"] | {"weight_decay": 0.5}}
    result = search_answer(searches(FOUND.runs[0], config=config), None, PLACE)
    assert result.command == "dropsmith train digits --plan here/plan.json --limit 60"


def test_after_a_comparison_it_is_the_answer_of_that():
    compared = retrained(FOUND.plan)
    result = search_answer(FOUND, compared, PLACE)
    assert "called learned here (plan 1 of the table of best plans)" in result.text
    expected = answer_text(compared, replace(PLACE, folder=Path("here/retrained")))
    assert result.text.endswith(expected.text)
    assert result.command == expected.command
    assert "--out here/retrained" in result.command


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_comparison_of_too_few_seeds_is_made_with_more(seeds):
    compared = retrained(FOUND.plan, seeds)
    assert answer(compared).conclusion is Conclusion.NOTHING
    command = search_answer(FOUND, compared, PLACE).command
    assert command.endswith("--retrain-seeds 5 --retrain-with dropout --out here")


def test_a_comparison_of_an_earlier_plan_answers_nothing():
    result = search_answer(FOUND, retrained(TRIALS[0].plan), PLACE)
    assert "does not include this plan" in result.text
    assert result.text.endswith(TEST_SET)


def test_the_page_begins_with_it():
    page = search_page(FOUND, place=PLACE)
    box = page.partition('<div class="answer">')[2].partition("</div>")[0]
    assert "Use plan 1 (trial 3 of controller)" in box
    assert "--retrain-seeds 3 --out here</code>" in box
    assert page.index('class="answer"') < page.index('class="lead"')
