"""Tables and sentences of searches say what the trials say."""

import pytest

from dropsmith.report import plan_grid, search_findings, search_page, trials_grid
from dropsmith.report.search_grids import acting_choices
from dropsmith.report.search_sentences import late_preferences
from learn.small import SPACE, searched, searches, trial


def texts(row):
    return [cell.text for cell in row]


def mixed():
    return searched(
        trial(0, (0, 1, 0), 0.5),
        trial(1, (2, 0, 1), 0.25, seconds=3.2),
        trial(2, (1, 0, 2), 0.75),
        trial(3, (1, 0, 0), None, "failed", why="TrainingError: not finite at step 3"),
        trial(4, (1, 0, 1), None, "stopped", reports=((1, 0.9),)),
        pruner="median",
    )


def test_plans_stand_from_the_best_on_token_by_token():
    grid = plan_grid(searches(mixed()))
    assert grid.heads == ("plan", "validation NLL", "where", "size", "shear_x", "draw")
    assert [texts(row) for row in grid.rows] == [
        ["1", "0.2500", "convs", "3", "–", "blocks"],
        ["2", "0.5000", "convs", "1", "0.5", "tiles"],
        ["3", "0.7500", "convs", "–", "–", "none"],
    ]
    assert grid.rows[0][1].detail == "controller\ntrial 1"


@pytest.mark.parametrize(
    ("tokens", "acting"),
    [
        ((0, 0, 0), {"convs.size", "convs.shear_x", "convs.draw"}),
        ((0, 0, 1), {"convs.size", "convs.draw"}),
        ((0, 0, 2), {"convs.draw"}),
    ],
)
def test_a_choice_acts_where_another_value_makes_another_plan(tokens, acting):
    assert acting_choices(SPACE, tokens) == acting


def test_the_sentences_name_the_best_the_middle_and_what_went_wrong():
    said = search_findings(searches(mixed()))
    assert said[0] == (
        "The best plan has validation NLL 0.2500 (trial 1 of controller). The median of the 3 "
        "scores, of 3 different plans, is 0.5000."
    )
    assert said[-1].startswith(
        "Of 5 trials, 3 have a score, 1 stopped early, 1 failed (trial 3: TrainingError: not finite"
    )


def test_samplers_are_set_side_by_side_and_not_told_apart():
    other = searched(trial(0, (1, 1, 1), 0.4), sampler="random")
    (line,) = [s for s in search_findings(searches(mixed(), other)) if "by sampler" in s]
    assert "controller 0.2500 (3 scores), random 0.4000 (1 scores)" in line
    assert "too few to compare samplers" in line


def test_searches_of_one_sampler_are_told_by_their_seeds():
    said = search_findings(searches(mixed(), searched(trial(0, score=0.1), seed=7)))
    assert "(trial 0 of controller, seed 7)" in said[0]


def test_without_a_score_there_is_one_sentence():
    found = searches(searched(trial(0, status="failed", why="no memory")))
    assert search_findings(found) == [
        "No trial has a score.",
        "Of 1 trials, 1 failed (trial 0: no memory).",
    ]


def chosen(late, count=60):
    """Even choices at first, and in the last third `late` for the draw."""
    trials = [(n % 3, n % 2, n % 3) for n in range(2 * count // 3)]
    trials += [(n % 3, n % 2, late) for n in range(count // 3)]
    return searched(*(trial(n, tokens, 0.5) for n, tokens in enumerate(trials)))


def test_a_preference_is_what_is_far_from_even_at_the_end():
    search = chosen(late=1)
    assert late_preferences(search, searches(search)) == [("convs.draw", "blocks", 1.0)]
    (line,) = [s for s in search_findings(searches(search)) if "last third" in s]
    assert line.endswith("in the last third of its trials: convs.draw = blocks in 100 %.")


def test_even_choices_are_no_preference_and_random_ones_never():
    even = searched(*(trial(n, (n % 3, n % 2, n % 3), 0.5) for n in range(60)))
    assert late_preferences(even, searches(even)) == []
    few = searched(*(trial(n, (0, 0, 0), 0.5) for n in range(9)))
    assert late_preferences(few, searches(few)) == []
    random = searched(*chosen(late=1).trials, sampler="random")
    assert not [s for s in search_findings(searches(random)) if "last third" in s]


def test_every_trial_has_its_line():
    grid = trials_grid(searches(mixed()))
    assert texts(grid.rows[1]) == [
        "controller 1",
        "finished",
        "0.2500",
        "3.2 s",
        "rule('convs.0', DropBlock(rate=0.2, size=3))",
    ]
    assert grid.rows[2][4].text == "no noise"
    assert grid.rows[3][1].detail == "TrainingError: not finite at step 3"


def test_an_interrupted_search_counts_proposals_and_its_ends_add_up():
    search = searched(
        trial(0, (0, 0, 0), 0.5),
        trial(1, status="lost"),
        trial(2, (1, 0, 0), 0.4, proposal_index=1, retry=1),
        trial(3, proposal_index=2, status="lost"),
        trial(4, proposal_index=3, status="running"),
    )
    found = searches(search)
    said = search_findings(found)
    assert (
        "Of 4 trials, 2 have a score, 2 interrupted. Tries that were lost and made again: 1."
        in said
    )
    html = search_page(found)
    assert "4 trials, proposed by controller" in html
    assert "All 4 trials, 1 of them tried again" in html
    assert "5 trials" not in html
    ends = [search.count(status) for status in ("finished", "lost", "running")]
    assert sum(ends) == len(search.last_tries) == 4
