"""The second phase of AWD-LSTM and of Fraternal Dropout."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dropsmith.compare import setup_id
from dropsmith.errors import TaskError
from dropsmith.run_folder import WEIGHTS
from dropsmith.tasks.optimisers import ASGD
from dropsmith.train import Saving, Start, train
from dropsmith_recipes import RECIPES, find_recipe
from recipes.test_resume import Stop, stopping
from recipes.texts import language_folder

SECOND = {name: one for name, one in RECIPES.items() if one.after is not None}


def short(setup, rate):
    budget = replace(setup.budget, epochs=2, batch_size=4, learning_rate=rate, window=35)
    return replace(setup, limit=700, budget=budget)


@pytest.fixture(scope="module")
def phases(tmp_path_factory):
    """A short run of each phase: the second's setup, its folder, and both records."""
    folder = language_folder(tmp_path_factory.mktemp("texts"))
    recipe = find_recipe("penn-treebank/awd-lstm-finetuned")
    first = short(recipe.after.setup("cpu", data=str(folder)), rate=5.0)
    before = train(first, folder / "first")
    start = Start.of(folder / "first")
    setup = short(recipe.setup("cpu", data=str(folder), start=start), rate=1.0)
    return setup, folder, before, train(setup, folder / "second")


@pytest.mark.slow
def test_the_second_phase_goes_on_from_the_best_weights_of_the_first(phases):
    _, _, before, after = phases
    losses = [row["validation_nll"] for row in after.curve]
    assert len(losses) == 3
    assert losses[0] == pytest.approx(before.scores["validation_nll"])
    assert after.scores["validation_nll"] == pytest.approx(min(losses))


def test_it_makes_one_view_with_ar_and_tar(phases):
    *_, after = phases
    assert all({"train_activation", "train_temporal"} <= row.keys() for row in after.curve[1:])
    assert not any("train_consistency" in row for row in after.curve)
    # Two epochs of 699 predicted words: nothing was seen twice.
    assert after.cost["example_views"] == 2 * 699


def test_it_resumes_to_the_bit_within_an_epoch(phases, tmp_path):
    setup, folder, _, record = phases
    at = record.curve[1]["step"] + 2
    with pytest.raises(Stop):
        train(setup, tmp_path, progress=stopping(at), saving=Saving(steps=1))
    assert train(setup, tmp_path).scores == record.scores
    ours, theirs = load_file(folder / "second" / WEIGHTS), load_file(tmp_path / WEIGHTS)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours | theirs)


def test_settings_are_those_of_the_authors_scripts():
    """Epochs, batch, and the rate between layers, which the loaded model brings along."""
    known = {
        "penn-treebank/awd-lstm-finetuned": (500, 20, 0.25),
        "wikitext2/awd-lstm-finetuned": (750, 80, 0.2),
        "penn-treebank/fraternal-awd-lstm-finetuned": (500, 20, 0.3),
        "wikitext2/fraternal-awd-lstm-finetuned": (750, 80, 0.2),
    }
    found = {}
    for name, recipe in SECOND.items():
        budget = recipe.paper.budget
        assert (budget.learning_rate, budget.clip, budget.window) == (30.0, 0.25, 70)
        assert (budget.weight_decay, budget.varying) == (1.2e-6, True)
        assert budget.optimiser == ASGD()
        assert budget.schedule.nonmono == 5
        assert (recipe.objective.alpha, recipe.objective.beta) == (2.0, 1.0)
        assert recipe.objective.views_at(1) == 1
        found[name] = (budget.epochs, budget.batch_size, recipe.paper.plan.rules[2].pattern.rate)
    assert found == known


def test_every_second_phase_is_published_as_better_than_its_first():
    for name, recipe in SECOND.items():
        first = {one.score: one.value for one in recipe.after.published_scores}
        assert RECIPES[recipe.after.full_name] == recipe.after
        assert len(recipe.published_scores) == len(first) == 2, name
        assert all(one.value < first[one.score] for one in recipe.published_scores)


@pytest.mark.parametrize("preset", ["cpu", "paper"])
def test_without_a_start_both_commands_are_told_as_they_are_typed(preset):
    recipe = SECOND["wikitext2/fraternal-awd-lstm-finetuned"]
    with pytest.raises(TaskError) as raised:
        recipe.setup(preset, seed=2)
    asked = " --data DIR" + (" --preset paper" if preset == "paper" else "") + " --seed 2"
    first = f"runs/wikitext2/{setup_id(recipe.after.setup(preset, seed=2))}"
    assert str(raised.value).splitlines()[1:] == [
        f"  first: dropsmith train wikitext2/fraternal-awd-lstm{asked}",
        f"  then: dropsmith train wikitext2/fraternal-awd-lstm-finetuned{asked} --start {first}",
    ]


def test_a_recipe_that_draws_its_weights_refuses_others(tmp_path):
    start = Start(weights=tmp_path, sha256="0")
    with pytest.raises(TaskError, match=r"dropsmith train wikitext2 --start RUN"):
        find_recipe("wikitext2/awd-lstm").setup("cpu", start=start)
