"""The adaptive rows of R-Drop's table: their size, their steps, and what is said of the code."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import dropsmith as ds
from dropsmith.train import Saving, train
from dropsmith.train.optimisers import optimizer_of
from dropsmith_recipes import RECIPES
from dropsmith_recipes.transformer_models import small_adaptive_language_model
from recipes.texts import language_folder

PLAIN, TWICE = (RECIPES[f"wikitext103/{name}"] for name in ("adaptive", "adaptive-r-drop"))
TOKENS = 103_227_020
"""Of WikiText-103, an end for each line, but for the first, which nothing predicts."""


def test_the_published_shape_has_247_million_parameters():
    layer = 4 * (1_024 + 1) * 1_024 + 2 * 1_024 * 4_096 + 4_096 + 1_024 + 4 * 1_024
    bands = {1_024: 20_000, 256: 40_000, 64: 267_735 - 60_000}
    tables = sum(width * words + 1_024 * width for width, words in bands.items())
    assert PLAIN.parameters == TWICE.parameters == 16 * layer + tables + 2 * 1_024
    assert round(PLAIN.parameters / 1e6) == 247


@pytest.mark.parametrize(("recipe", "updates"), [(PLAIN, 286_000), (TWICE, 320_000)])
def test_updates_of_the_scripts_are_as_many_epochs(recipe, updates):
    budget, views = recipe.paper.budget, recipe.objective.views_at(1)
    tokens = 3_072 * 3 * 8
    assert budget.batch_size * budget.window == tokens
    assert budget.epochs / views == pytest.approx(updates * tokens / TOKENS, abs=0.5)
    assert budget.warmup * updates == pytest.approx(16_000)


def clipped(gradient, longest):
    return gradient * min(1.0, longest / float(gradient.norm()))


@pytest.mark.parametrize("length", [0.03, 0.2, 5.0])
def test_steps_are_those_of_the_authors_on_the_sum_over_their_views(length):
    """Theirs: v ← 0.99 v − lr g, then x by 0.99 v − lr g, g of no more than a tenth."""
    generator = torch.Generator().manual_seed(0)
    theirs, speed = torch.randn(7, generator=generator, dtype=torch.float64), 0.0
    ours = nn.Parameter(theirs.clone())
    budget = TWICE.paper.budget
    steps = optimizer_of(nn.ParameterList([ours]), budget)
    for share in (0.1, 1.0, 0.7):
        total = torch.randn(7, generator=generator, dtype=torch.float64)
        total *= length / total.norm()
        # The speed is in steps, so a changed rate changes what is left of it.
        g = clipped(total, 0.1)
        speed = 0.99 * speed + g
        theirs = theirs - share * (0.99 * speed + g)
        ours.grad = total / 2
        nn.utils.clip_grad_norm_([ours], budget.clip)
        steps.param_groups[0]["lr"] = share * budget.learning_rate
        steps.step()
        torch.testing.assert_close(ours.data, theirs, rtol=1e-5, atol=1e-7)


def test_where_the_released_code_compares_less_the_recipe_says_so():
    assert any("within each band" in one for one in TWICE.unlike)
    assert not any("within each band" in one for one in PLAIN.unlike)


@pytest.mark.parametrize("words", [60, 800, 33_278])
def test_the_small_model_has_bands_of_any_vocabulary(words):
    with torch.device("meta"):
        net = small_adaptive_language_model(SimpleNamespace(classes=words))
    sizes = [len(table) for table in net.embedding.tables]
    assert sum(sizes) == words
    assert sizes[0] / words == pytest.approx(20_000 / 267_735, abs=0.02)
    assert (sizes[0] + sizes[1]) / words == pytest.approx(60_000 / 267_735, abs=0.03)


class Stop(Exception):
    pass


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_published_scores_of_one_that_was_not(tmp_path):
    setup = TWICE.setup("cpu", data=str(language_folder(tmp_path)))
    budget = replace(setup.budget, epochs=2, batch_size=4, window=32)
    # Without the attention's noise, which is torch's own and does not come back by key.
    plan = ds.Plan(
        *(one for one in setup.plan.rules if not isinstance(one.pattern, ds.TorchDropout))
    )
    setup = replace(setup, limit=600, budget=budget, plan=plan)
    whole = train(setup, tmp_path / "whole")
    steps = iter(range(3))

    def stopping(share, /):
        if next(steps, None) is None:
            raise Stop

    with pytest.raises(Stop):
        train(setup, tmp_path / "parts", progress=stopping, saving=Saving(steps=1))
    again = train(setup, tmp_path / "parts")
    assert {one.score for one in TWICE.published_scores} <= whole.scores.keys()
    assert again.scores == whole.scores
