"""The page of a search: one file, nothing from outside, everything said in words too."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from compare import synthetic
from compare.synthetic import LOSSES, comparison
from dropsmith.compare import Row, Trial
from dropsmith.patterns import Bernoulli, DropBlock
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.report import Place, search_page, write_search_page
from dropsmith.report.search_command import search_command
from learn.small import DIGITS, problem, searched, searches, trial
from report.retrained import retrained
from report.test_comparison_html import Outline

pytestmark = pytest.mark.usefixtures("undrawn_pictures")

TRIALS = [trial(n, (n % 3, n % 2, n % 3), 1 / (n + 1)) for n in range(12)]
CONFIG = problem().config | {"budget": replace(DIGITS.budget, epochs=2).to_json()}
FOUND = searches(
    searched(*TRIALS),
    searched(trial(0, (1, 0, 1), 0.5), sampler="random"),
    config=CONFIG,
)


@pytest.fixture(scope="module")
def html():
    """The page of most tests here, written once."""
    return search_page(FOUND, comparison(LOSSES))


@pytest.fixture(scope="module")
def outline(html):
    found = Outline()
    found.feed(html)
    return found


def test_every_tag_closes_and_nothing_is_asked_for_from_anywhere(outline):
    assert outline.open == []
    assert all(address.startswith(("data:", "#")) for address in outline.addresses)
    assert outline.scripts == [{}]
    assert (outline.tags.count("h1"), outline.tags.count("main")) == (1, 1)


def test_it_has_every_section_and_each_picture_in_words(outline):
    sections = ["found", "retrained", "plans", "masks", "scores", "preferred", "trials", "again"]
    assert [name for name in outline.ids if name in sections] == sections
    # Masks, scores, and what the controller preferred; the random search is too short for that.
    assert len(outline.images) == 2 * 3
    assert all(len(image["aria-label"]) > 30 for image in outline.images)


def test_it_says_what_a_score_is_and_that_the_test_set_was_not_looked_at(html):
    assert "13 trials, proposed by controller, random, from a space of 18 plans" in html
    assert (
        "its score is the validation NLL: less is better. The search did not use the test set"
        in html
    )


def test_it_says_how_to_make_each_search_again(html):
    options = "--space conv --budget 2 --limit 60</code>"
    assert f"dropsmith search digits --trials 12 --sampler controller {options}" in html
    assert f"dropsmith search digits --trials 1 --sampler random {options}" in html


def test_of_a_recipe_it_says_what_was_typed_and_where_data_is_looked_for():
    own = replace(FOUND.runs[0], command_words=("cifar10/auto-dropout", "--trials", "3"))
    given = {"config": problem().config, "environment": {"data_given": True}}
    html = search_page(searches(own, **given))
    assert "<code>dropsmith search cifar10/auto-dropout --trials 3 --data DIR</code>" in html


def test_what_no_command_says_has_none():
    config = problem().config | {"budget": problem().config["budget"] | {"weight_decay": 0.5}}
    html = search_page(searches(FOUND.runs[0], config=config))
    assert "dropsmith search digits" not in html
    assert "Its models are trained with a budget that no option" in html
    assert "call dropsmith.learn.learn with the problem in problem.json" in html


def test_a_space_written_by_hand_has_no_command():
    environment = problem().environment | {"space_kind": None}
    html = search_page(searches(FOUND.runs[0], config=CONFIG, environment=environment))
    assert "dropsmith search digits" not in html
    assert "Its space of plans was written by hand" in html


def test_it_says_how_many_trials_stand_behind_each_method():
    html = search_page(FOUND, retrained(FOUND.plan))
    assert "is the best of 13 scores on validation; each other method tried 3 settings" in html


def test_it_says_which_of_the_best_plans_new_seeds_chose():
    plans = FOUND.finalists(3)
    made = synthetic.design(("dropout", "learned"), plans=(("learned", plans),))
    tried = [
        Trial(
            setting=setting,
            records=tuple(
                synthetic.record(made.setup("learned", setting, seed)) for seed in (7, 8)
            ),
        )
        for setting in made.settings("learned")
    ]
    setting = made.settings("learned")[1]
    runs = tuple(synthetic.record(made.setup("learned", setting, seed)) for seed in range(3))
    own = Row(method="learned", trials=tuple(tried), setting=setting, records=runs)
    html = search_page(FOUND, replace(retrained(FOUND.plan), rows=(own,)))
    assert (
        "is number 2 above: of the 3 best it has the least validation loss with 2 new seeds" in html
    )


def test_a_comparison_of_a_plan_that_is_no_longer_the_best_says_so():
    html = search_page(FOUND, retrained(TRIALS[0].plan))
    assert "is not the best plan above, which was found later" in html
    assert "is the best of 13 scores" not in html


def test_a_comparison_without_the_learned_plan_says_so():
    others = retrained(FOUND.plan)
    html = search_page(FOUND, replace(others, rows=others.rows[:1]))
    assert "The learned plan is not in this table" in html


def test_rules_that_every_plan_has_are_said_and_typed():
    beside = {"plan": Plan(rule("head.input", Bernoulli(rate=1 / 3))).to_json()}
    found = searches(FOUND.runs[0], config=problem().config | beside)
    html = search_page(found)
    assert "Rules that every plan has besides: rule(&#x27;head.input&#x27;" in html
    assert "Bernoulli(rate=0.3333)). Data:" in html
    assert "--plan beside.json" in search_command(found.runs[0], found)
    place = Place(folder=Path("runs/mine"))
    assert "--plan runs/mine/beside.json" in search_command(found.runs[0], found, place)


def test_a_page_without_a_comparison_or_the_data_is_whole_all_the_same():
    lost = searches(FOUND.runs[0], environment={"data_given": True})
    html = search_page(lost)
    assert "No masks are drawn: they need the data" in html
    assert 'id="retrained"' not in html


def test_plans_that_drop_nothing_are_said_to():
    assert "The best plans drop nothing." in search_page(
        searches(searched(trial(0, (0, 0, 2), 0.1)))
    )


def test_a_plan_that_drops_nothing_leaves_the_others_their_numbers(monkeypatch):
    from dropsmith.report import gallery

    shown = []
    draw = gallery.gallery_figure
    monkeypatch.setattr(
        gallery, "gallery_figure", lambda b, d, *v: shown.extend(d) or draw(b, d, *v)
    )
    best, second = trial(0, (0, 0, 2), 0.1), trial(1, (2, 0, 1), 0.2)
    html = search_page(searches(searched(best, second)))
    assert [(one.noise, one.rule) for one in shown] == 2 * [("plan 2", second.plan.rules[0])]
    assert "Plan 1 drops nothing." in html


def test_rules_that_are_not_drawn_are_counted(monkeypatch):
    monkeypatch.setattr(sys.modules[search_page.__module__], "_ROWS", 1)
    plan = Plan(*(rule(f"convs.{layer}", DropBlock(rate=0.2, size=1)) for layer in (0, 1)))
    html = search_page(searches(searched(replace(trial(0, (0, 0, 0), 0.1), plan=plan))))
    assert "Rules of plan 1 not drawn: 1." in html


def test_it_is_the_same_each_time_and_written_whole(tmp_path, html, monkeypatch):
    monkeypatch.undo()  # With its pictures.
    place = Place()  # else its commands name the folder
    path = write_search_page(FOUND, tmp_path, comparison(LOSSES), place=place)
    assert path.name == "report.html"
    assert path.read_text() == html
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_what_is_drawn_is_what_the_plans_say():
    from dropsmith.report.masks import examples, plan_mask_examples
    from learn.small import DIGITS, SPACE

    data = DIGITS.load(None, 60)
    batch = examples(data)
    plan = SPACE.plan((2, 0, 1))
    (drawn,) = plan_mask_examples(DIGITS, data, batch, plan, "plan 1", limit=1)
    assert (drawn.rule, drawn.site.name, drawn.noise) == (plan.rules[0], "convs.0", "plan 1")
    assert drawn.drops.any()
    assert not drawn.drops.all()
    assert plan_mask_examples(DIGITS, data, batch, plan, "plan 1", limit=0) == []
