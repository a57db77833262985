"""What searches found comes back from their files, and the best is the least."""

import json
from dataclasses import replace

import pytest

from dropsmith.errors import DataError, SearchError
from dropsmith.learn import Searches, SearchRun
from learn.small import SPACE, problem, searched, searches, trial

TRIALS = (
    trial(0, (0, 0, 0), 0.5, seconds=2.0, reports=((1, 0.7), (2, 0.5))),
    trial(1, (1, 1, 1), None, "failed", why="TrainingError: not finite"),
    trial(2, (2, 0, 1), 0.3, version=1, log_probability=-2.5),
    trial(3, (0, 1, 0), None, "stopped", reports=((1, 0.9),)),
    trial(4, (2, 0, 1), 0.3, retry=1, retry_of=1, proposal_index=1),
)
FOUND = searched(*TRIALS, pruner="median")


def test_a_search_comes_back_from_its_file(tmp_path):
    problem().bind(tmp_path)
    other = searched(trial(0, (1, 1, 1), 0.4), sampler="random", seed=3)
    other = replace(other, command_words=("cifar10/auto-dropout", "--seed", "3"))
    FOUND.save(tmp_path, problem())
    path = other.save(tmp_path, problem())
    assert path.name == "random-3.search.json"
    assert Searches.load(tmp_path) == Searches(problem=problem(), runs=(FOUND, other))


def test_its_file_says_of_no_machine_and_repeats_no_plan():
    noted = searched(trial(0, score=0.1, worker="somebody:17"))
    text = json.dumps(noted.to_json(problem()))
    assert "somebody" not in text
    assert "Tiles" not in text
    assert SearchRun.from_json(json.loads(text), SPACE).trials[0].plan == SPACE.plan((0, 0, 0))


def test_files_keep_the_first_names_of_a_trials_place_and_order():
    written = FOUND.to_json(problem())["trials"]
    assert [one["asked"] for one in written] == [0, 1, 2, 3, 1]
    assert [one["told"] for one in written] == [0, 1, 2, 3, 4]
    assert not {"proposal_index", "tell_order"} & set().union(*written)
    read = SearchRun.from_json({**FOUND.to_json(problem()), "trials": written}, SPACE)
    assert [(one.proposal_index, one.tell_order) for one in read.trials] == [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 3),
        (1, 4),
    ]


def test_the_best_is_the_least_score_and_the_earlier_of_equals():
    assert FOUND.best is TRIALS[2]
    assert searches(searched(trial(0, score=0.4)), FOUND).best is TRIALS[2]
    assert searched(TRIALS[1]).best is None
    assert searches(searched(TRIALS[1])).best is None


def test_without_a_score_there_is_no_plan_to_speak_of():
    with pytest.raises(DataError, match="no trial has a score"):
        _ = searches(searched(TRIALS[1])).plan


def test_different_plans_are_ranked_each_by_the_trial_that_scored_it_best():
    found = searches(FOUND, searched(trial(0, (0, 0, 0), 0.2), sampler="random"))
    ranked = found.ranked()
    assert [(one.score, one.tokens) for one in ranked] == [(0.2, (0, 0, 0)), (0.3, (2, 0, 1))]
    assert found.run_of(ranked[0]).sampler == "random"
    assert found.run_of(ranked[1]) is FOUND


def test_finalists_are_whole_plans_from_the_best_score_on():
    found = searches(FOUND, searched(trial(0, (0, 0, 0), 0.2), sampler="random"))
    beside = found.problem.fixed_plan
    assert found.finalists(1) == (found.plan,)
    assert found.finalists(9) == tuple(beside + one.plan for one in found.ranked())


def test_tokens_that_make_one_plan_are_one_plan():
    found = searches(searched(trial(0, (0, 0, 2), 0.5), trial(1, (2, 1, 2), 0.4)))
    assert [one.number for one in found.ranked()] == [1]


def test_a_file_of_another_problem_is_refused(tmp_path):
    problem().bind(tmp_path)
    FOUND.save(tmp_path, problem(seeds=2))
    with pytest.raises(DataError, match=r"controller-0\.search\.json\n .*it is of problem"):
        Searches.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "dropsmith.searched", "version": 7}'])
def test_what_is_no_search_is_named_by_its_file(tmp_path, text):
    problem().bind(tmp_path)
    (tmp_path / "tpe-0.search.json").write_text(text)
    with pytest.raises(DataError, match=r"cannot read a search from .*tpe-0\.search\.json"):
        Searches.load(tmp_path)


def test_a_folder_whose_search_has_not_ended_says_so(tmp_path):
    problem().bind(tmp_path)
    with pytest.raises(DataError, match=r"no search in .* has finished"):
        Searches.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sampler": "../../x"}, "field sampler should be a word that a file can have in its name"),
        ({"seed": -1}, "field seed should be greater than or equal to 0, but is -1"),
        ({"seed": "0"}, "field seed should be a valid integer, but is '0'"),
        ({"sampler": "tpe"}, "it is the search tpe-0 under another name"),
        ({"pruner": 3}, "field pruner should be a valid string, but is 3"),
        ({"trials": []}, "field trials should have at least 1 item"),
        ({"typed": "a b"}, "field typed should be a valid list"),
    ],
)
def test_fields_of_a_search_are_checked_and_named(tmp_path, changes, says):
    problem().bind(tmp_path)
    path = FOUND.save(tmp_path, problem())
    path.write_text(json.dumps(FOUND.to_json(problem()) | changes))
    with pytest.raises(DataError, match=rf"cannot read a search from .*{path.name}\n  {says}"):
        Searches.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"score": "0.5"}, r"field trials\.0\.score should be a valid number, but is '0.5'"),
        ({"score": float("nan")}, r"field trials\.0\.score should be"),
        ({"score": None}, "trial 0 is finished, and its score is None"),
        ({"status": "failed"}, "trial 0 is failed, and its score is 0.5"),
        ({"status": "gone"}, r"field trials\.0\.status should be 'running', 'finished'"),
        ({"tokens": [0, 0, 9]}, "has no value 9"),
        ({"tokens": [True, 0, 0]}, r"field trials\.0\.tokens\.0 should be a valid integer"),
        ({"reports": [[1]]}, r"field trials\.0\.reports\.0 should have at least 2 items"),
        ({"reports": [[0.5, 0.1]]}, "a report has a step, counted from 0, got 0.5"),
        ({"worker": "me"}, r"field trials\.0\.worker is unknown"),
        ({"seconds": -1}, r"field trials\.0\.seconds should be greater than or equal to 0"),
    ],
)
def test_fields_of_a_trial_are_checked_and_named(changes, says):
    values = FOUND.to_json(problem())
    values["trials"][0] |= changes
    with pytest.raises((DataError, SearchError), match=says):
        SearchRun.from_json(json.loads(json.dumps(values)), SPACE)
