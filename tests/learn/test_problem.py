"""What is searched: it names itself, holds a folder together, and finds the space of a model."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from dropsmith.errors import DataError, SearchError
from dropsmith.learn import FILE, Problem, space_of
from dropsmith.learn import problem as learn_problem
from dropsmith.learn.problem import problem_of
from dropsmith.models import SmallConv, SmallMLP, SmallTransformer
from dropsmith.pattern_search import ConvSpace, ListedSpace, SequenceSpace
from dropsmith.testing import check_json
from dropsmith.train import task_and_data
from learn.small import SETUP, problem


def test_it_comes_back_from_json_and_is_named_by_all_but_where_it_ran():
    made = problem()
    check_json(made, Problem.from_json)
    assert problem(environment={"torch": "9"}).id == made.id
    assert problem(seeds=2).id != made.id
    assert problem(config=made.config | {"limit": 99}).id != made.id


def test_a_folder_holds_searches_of_one_problem(tmp_path):
    problem().bind(tmp_path)
    problem(environment={}).bind(tmp_path)
    assert Problem.load(tmp_path) == problem()
    with pytest.raises(SearchError, match=r"differ from this one in seeds: 1, not 2\n.*--out DIR"):
        problem(seeds=2).bind(tmp_path)
    config = problem().config
    with pytest.raises(SearchError, match="differ from this one in limit: 60, not 50"):
        problem(config=config | {"limit": 50}).bind(tmp_path)


def test_scores_on_other_data_are_kept_apart(tmp_path):
    problem().bind(tmp_path)
    with pytest.raises(SearchError, match="made on other data"):
        problem(environment={"data_sha256": "of other examples"}).bind(tmp_path)


def test_scores_of_another_model_are_kept_apart(tmp_path):
    own = replace(SETUP, model="dropsmith_recipes.models:small")
    hashes = iter(["of the code before", "of the code now"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learn_problem, "task_and_data", lambda setup: task_and_data(SETUP))
        patch.setattr(learn_problem, "model_hash", lambda model, data: next(hashes))
        problem_of(own, seeds=1).bind(tmp_path)
        with pytest.raises(SearchError, match="made with another model: its hash differs"):
            problem_of(own, seeds=1).bind(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", '{"format": "dropsmith.problem", "version": 9}'])
def test_what_is_no_problem_is_named_by_its_file(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DataError, match=rf"cannot read the problem of a search from .*{FILE}"):
        Problem.load(tmp_path)


def test_digits_have_a_space_of_tilings_over_both_resolutions():
    made = problem_of(SETUP, seeds=2)
    assert isinstance(made.space, ConvSpace)
    assert {choice.name.split(".")[0] for choice in made.space.choices} == {"8x8", "4x4"}
    assert (made.seeds, made.loss, made.task) == (2, "nll", "digits")
    assert made.environment["data_given"] is False
    assert made.environment["space_kind"] == "conv"
    assert json.dumps(made.to_json())


def test_making_the_model_leaves_torchs_generators(seeded_on_gpus):
    before = torch.get_rng_state()
    problem_of(SETUP, seeds=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert seeded_on_gpus == []


def test_transformer_blocks_have_a_space_of_runs():
    model = SmallTransformer(words=9, classes=2, length=9, width=16, heads=2, layers=2)
    assert isinstance(space_of(model, torch.ones(2, 7, dtype=torch.long)), SequenceSpace)


def test_a_space_may_be_asked_for_by_its_kind():
    model = SmallConv(channels=1, size=8, classes=3)
    assert isinstance(space_of(model, torch.zeros(2, 1, 8, 8), "conv"), ConvSpace)
    with pytest.raises(SearchError, match=r"no space is called 'cov'[\s\S]*did you mean 'conv'"):
        space_of(model, torch.zeros(2, 1, 8, 8), "cov")


def test_a_perceptron_has_a_space_of_units_and_the_name_of_its_kind():
    model = SmallMLP(features=4, outputs=2)
    space = space_of(model, torch.zeros(3, 4))
    assert space == space_of(model, torch.zeros(3, 4), "units")
    assert isinstance(space, ListedSpace)
    assert [choice.name for choice in space.choices[::2]] == [
        *("layers.0.draw", "layers.1.draw", "head.draw")
    ]


def test_a_model_without_blocks_maps_and_units_is_refused_with_all_reasons():
    with pytest.raises(SearchError) as caught:
        space_of(nn.Sequential(nn.LayerNorm(4)), torch.zeros(2, 4))
    assert "no space of plans fits Sequential" in str(caught.value)
    assert "no map of a convolution" in str(caught.value)
    assert "no fully connected layer" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": 0}, "field seeds should be greater than or equal to 1, but is 0"),
        ({"seeds": 2}, "its contents hash to .*, but its id is"),
        ({"loss": "accuracy"}, "field loss should be 'nll' or 'mse', but is 'accuracy'"),
        ({"space": {"format": "dropsmith.plan"}}, "not a space"),
        ({"config": {}}, r"field config\.task is missing"),
        ({"environment": {"data_sha256": 3}}, r"field environment\.data_sha256 should be"),
    ],
)
def test_fields_of_a_problem_are_checked_and_named(changes, says, tmp_path):
    (tmp_path / FILE).write_text(json.dumps(problem().to_json() | changes))
    with pytest.raises(
        DataError, match=rf"cannot read the problem of a search from .*{FILE}\n  .*{says}"
    ):
        Problem.load(tmp_path)
