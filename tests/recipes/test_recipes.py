import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from dropsmith.errors import TaskError
from dropsmith.objectives import from_json
from dropsmith.sites import Plan
from dropsmith.tasks.own_model import _function
from dropsmith.train import Saving, task_and_data, train
from dropsmith_recipes import RECIPES, Preset, find_recipe, is_recipe
from recipes.texts import language_folder, review_folder

WORDS = {"penn-treebank": 10_000, "wikitext2": 33_278}
NEVER = Saving(seconds=1e9)


class Enough(Exception):
    pass


def after(count):
    """A progress that ends a run after so many steps."""
    steps = iter(range(1, count))

    def progress(share, /):
        if next(steps, None) is None:
            raise Enough

    return progress


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of every task of the recipes, small."""
    return review_folder(language_folder(tmp_path_factory.mktemp("texts")))


def shorter(recipe, data, limit=None):
    setup = recipe.setup("cpu", data=str(data))
    if limit is None:
        limit = 30 if recipe.task.startswith("sentiment") else 2_000
    return replace(setup, limit=limit, budget=replace(setup.budget, batch_size=4))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_runs_twenty_steps_of_its_cpu_preset(name, folder, tmp_path):
    recipe = RECIPES[name]
    with pytest.raises(Enough):
        train(shorter(recipe, folder), tmp_path, progress=after(20), saving=NEVER)


@pytest.mark.parametrize(
    "name",
    [
        "penn-treebank/variational-lstm-medium",
        "penn-treebank/fraternal-awd-lstm",
        "wikitext2/awd-lstm",
        "sentiment-scale-gru/variational-gru",
    ],
)
def test_recipes_run_on_the_real_data(name, data_dir, tmp_path):
    with pytest.raises(Enough):
        train(shorter(RECIPES[name], data_dir), tmp_path, progress=after(5), saving=NEVER)


def test_a_finished_run_has_the_scores_that_were_published(folder, tmp_path):
    recipe = RECIPES["penn-treebank/variational-lstm-medium"]
    setup = shorter(recipe, folder, limit=2_000)
    setup = replace(setup, samples=2, budget=replace(setup.budget, epochs=1))
    record = train(setup, tmp_path)
    assert {one.score for one in recipe.published} <= record.scores.keys()
    assert record.scores["test_mc_perplexity"] != record.scores["test_perplexity"]


def test_a_finished_regression_has_its_error_in_the_unit_of_the_ratings(folder, tmp_path):
    setup = shorter(RECIPES["sentiment-scale/variational-lstm"], folder)
    setup = replace(setup, samples=2, budget=replace(setup.budget, epochs=1))
    scores = train(setup, tmp_path).scores
    assert 0 < scores["test_rmse"] < 1
    assert 0 < scores["test_mc_rmse"] < 1


COUNTED = [name for name, recipe in RECIPES.items() if recipe.parameters is not None]


@pytest.mark.parametrize("name", COUNTED)
def test_the_paper_preset_has_as_many_parameters_as_published(name):
    recipe = RECIPES[name]
    with torch.device("meta"):
        model = _function(recipe.paper.model)(SimpleNamespace(classes=WORDS[recipe.task]))
    assert sum(parameter.numel() for parameter in model.parameters()) == recipe.parameters


def test_only_the_regressors_have_no_published_count():
    assert {name.partition("/")[0] for name in set(RECIPES) - set(COUNTED)} == {
        "sentiment-scale",
        "sentiment-scale-gru",
    }


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_stands_under_its_own_name_and_its_setups_can_be_written_down(name):
    recipe = RECIPES[name]
    assert recipe.full_name == name
    for preset in ("paper", "cpu"):
        setup = recipe.setup(preset)
        values = json.loads(json.dumps(setup.to_json(), allow_nan=False))
        assert Plan.from_json(values["plan"]) == setup.plan
        assert from_json(values["objective"]) == setup.objective
        assert values["method"] == recipe.name


@pytest.mark.parametrize("name", RECIPES)
def test_the_presets_differ_in_size_and_length_and_in_no_noise(name):
    recipe = RECIPES[name]
    assert recipe.cpu.plan == recipe.paper.plan
    assert recipe.cpu.budget.epochs < recipe.paper.budget.epochs
    assert type(recipe.cpu.budget.optimiser) is type(recipe.paper.budget.optimiser)


def test_rows_of_gals_table_are_in_the_order_it_claims():
    for size in ("medium", "large"):
        naive = numbers(f"penn-treebank/naive-lstm-{size}")
        for tied in ("", "-tied"):
            found = numbers(f"penn-treebank/variational-lstm-{size}{tied}")
            assert found["test_mc_perplexity"] < found["test_perplexity"]
            assert found["test_perplexity"] < naive["test_perplexity"]


def numbers(name):
    return {one.score: one.value for one in RECIPES[name].published}


def test_gals_schedule_and_rates_are_those_of_the_authors_script():
    paper = RECIPES["penn-treebank/variational-lstm-large"].paper
    assert (paper.budget.learning_rate, paper.budget.clip) == (35, pytest.approx(10 / 35))
    assert [one.pattern.rate for one in paper.plan.rules] == [0.3, 0.5, 0.3, 0.5]
    # 55 epochs of 1,327 updates shrink a weight to 0.9927 of itself.
    assert (1 - paper.budget.optimiser.shrink) ** (55 * 1327) == pytest.approx(0.9927, abs=1e-4)


def test_fraternal_epochs_are_passes_over_the_data_of_two_views():
    paper = RECIPES["penn-treebank/fraternal-lstm"].paper
    views = RECIPES["penn-treebank/fraternal-lstm"].objective.views_at(1)
    assert paper.budget.epochs == 1000 * views
    schedule = paper.budget.schedule
    least = next(n for n in range(99) if 30 / schedule.factor**n < 0.1)
    losses = [1.0] + [2.0] * (schedule.patience * least)
    assert schedule.ends(losses)
    assert not schedule.ends(losses[:-1])
    assert math.isclose(schedule.patience / views, 21)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("penn-treebank/variational-lstm-mediun", "penn-treebank/variational-lstm-medium"),
        ("wikitext2/awd", "wikitext2/awd-lstm"),
    ],
)
def test_a_wrong_name_gets_the_nearest(name, nearest):
    assert is_recipe(name)
    with pytest.raises(TaskError, match=f"no recipe is called '{name}'") as raised:
        find_recipe(name)
    assert f"did you mean '{nearest}'?" in str(raised.value)


def test_a_path_is_no_recipe():
    assert not is_recipe("digits")
    assert not is_recipe("photos/cats")
    assert not is_recipe("/penn-treebank/awd-lstm")


def test_a_preset_there_is_not_is_named_with_those_there_are():
    with pytest.raises(TaskError, match=r"no preset is called 'papr'[\s\S]*did you mean 'paper'"):
        RECIPES["wikitext2/awd-lstm"].setup("papr")
    assert isinstance(RECIPES["wikitext2/awd-lstm"].preset("paper"), Preset)


def test_windows_are_those_of_the_recipe(folder):
    setup = shorter(RECIPES["penn-treebank/awd-lstm"], folder)
    _, data = task_and_data(setup)
    assert (data.train.window, data.train.varying) == (70, True)
