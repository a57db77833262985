"""The paragraph that answers holds the numbers, and on the page it comes first."""

import json

import pytest

from compare.synthetic import comparison
from compare.test_answers import BASE, moved
from dropsmith.report import Place, answer_object, answer_text, page
from dropsmith.report.html import escape

pytestmark = pytest.mark.usefixtures("undrawn_pictures")

BETTER = {"none": moved(0.05, seed=1), "dropout": BASE, "r-drop": moved(-0.05, seed=2)}


def test_a_winner_is_named_with_difference_interval_correction_seeds_cost_and_command():
    result = answer_text(comparison(BETTER))
    assert result.text.startswith(
        "Use r-drop (rate 0.5, alpha 0.3): its test accuracy is better than that of dropout, "
        "93.70 % against 92.42 %: difference +1.28 points (95 % interval ["
    )
    assert "after Holm correction, 5 seeds)." in result.text
    assert "In other scores, test NLL: better." in result.text
    assert "A run costs 1.17 times the time and 1.00 times the memory of dropout" in result.text
    assert result.command.startswith(
        "dropsmith train digits --with r-drop --set rate=0.5 --set alpha=0.3 --seed"
    )


def test_without_a_winner_the_simplest_is_kept():
    result = answer_text(comparison({"dropout": BASE, "pi": moved(0, seed=3)}))
    assert result.text.startswith(
        "Keep dropout (rate 0.1): no method is detectably better than dropout in test accuracy "
        "over 5 seeds; the nearest is pi, difference "
    )
    bare = answer_text(comparison({"dropout": BASE, "none": moved(0, seed=3)}))
    assert bare.text.startswith(
        "Use the method none, which drops nothing (weight decay 0): no method is detectably"
    )
    assert "this is the simplest method that is not detectably worse" in bare.text


def test_one_seed_concludes_nothing_and_the_command_runs_more():
    result = answer_text(comparison({name: losses[:1] for name, losses in BETTER.items()}))
    assert result.text.startswith("Nothing can be concluded from 1 seed:")
    assert result.command.startswith(
        "dropsmith compare digits --with none,dropout,r-drop --seeds 5"
    )
    assert "better" not in result.text


@pytest.mark.parametrize(
    ("method", "methods"),
    [("dropout", "dropout,none"), ("r-drop", "r-drop,none"), ("none", "none,dropout")],
)
def test_a_method_alone_gets_the_command_that_compares_it(method, methods):
    result = answer_text(comparison({method: BASE}))
    assert f"{method} is the only method, and is compared with nothing." in result.text
    assert result.command.startswith(f"dropsmith compare digits --with {methods} --seeds 5")


def test_a_recipe_alone_is_said_to_need_others():
    place = Place(recipes=("digits/dropout",))
    result = answer_text(comparison({"dropout": BASE}), place)
    assert "this is the only recipe" in result.text
    assert result.command.startswith("dropsmith compare digits/dropout ")


def test_what_would_be_better_without_correction_is_named_as_unsettled():
    base = [0.30, 0.32, 0.34]
    losses = {"dropout": base, "spatial": [0.27, 0.304, 0.318], "blocks": [0.28, 0.29, 0.325]}
    text = answer_text(comparison(losses)).text
    assert "Better, but not significant after Holm correction: spatial, blocks; more seeds" in text


@pytest.mark.parametrize("losses", [BETTER, {"dropout": BASE[:1], "none": BASE[:1]}])
def test_the_page_begins_with_the_answer_and_json_has_it(losses):
    made = comparison(losses)
    result, html = answer_text(made), page(made)
    head = html.partition("<h1>")[2]
    assert 0 < head.index(escape(result.text)) < head.index(escape(result.command)) < 2500
    fields = json.loads(json.dumps(answer_object(made)))
    assert fields["text"] == result.text
    assert fields["command"] == result.command
    assert (fields["method"] is None) == result.text.startswith("Nothing")
