"""Merity, Keskar & Socher (2018), AWD-LSTM: weight drop, locked masks, AR, TAR and NT-ASGD.

The phase that follows is in `fine_tuning`.
"""

from dataclasses import replace

from dropsmith.models import awd_plan
from dropsmith.objectives import ActivationNorm, TaskLoss
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset, PublishedScore
from dropsmith_recipes._recipe import Recipe

README = "README of salesforce/awd-lstm-lm"
_PTB = Budget(
    epochs=500,
    batch_size=20,
    learning_rate=30.0,
    weight_decay=1.2e-6,
    clip=0.25,
    window=70,
    varying=True,
    optimiser=optimisers.TriggeredASGD(nonmono=5),
    schedule=learning_rates.Constant(),
)
_SMALL = replace(_PTB, epochs=20, learning_rate=10.0, optimiser=optimisers.TriggeredASGD(nonmono=2))
UNLIKE = (
    "the average has no lag behind the rate of a window, and counts the first weights",
    "windows end at 80, where the code sets no bound",
)


def perplexities(validation: float, test: float, source: str) -> tuple[PublishedScore, ...]:
    """Two numbers from the README of some authors' code."""
    rows = {"validation_perplexity": validation, "test_perplexity": test}
    return tuple(
        PublishedScore(score=score, value=value, certainty="code", source=source)
        for score, value in rows.items()
    )


def _recipe(task: str, paper: Preset, numbers: tuple[float, float], parameters: int) -> Recipe:
    return Recipe(
        task=task,
        name="awd-lstm",
        about="weight drop, locked masks, words, AR and TAR, averaged SGD",
        source="Merity et al. (2018); settings and numbers of the authors' README",
        objective=ActivationNorm(of=TaskLoss(), alpha=2.0, beta=1.0),
        paper=paper,
        cpu=replace(
            paper, model="dropsmith_recipes.models:awd_small", budget=_SMALL, limit=100_000
        ),
        published_scores=perplexities(*numbers, f"{README}, before fine-tuning"),
        parameters=parameters,
        unlike=UNLIKE,
    )


def penn_treebank() -> Recipe:
    """Penn Treebank."""
    plan = awd_plan(input=0.4, between=0.25)
    preset = Preset(model="dropsmith_recipes.models:awd", plan=plan, budget=_PTB)
    return _recipe("penn-treebank", preset, (61.2, 58.8), 24_221_600)


def wikitext() -> Recipe:
    """WikiText-2."""
    budget = replace(_PTB, epochs=750, batch_size=80)
    plan = awd_plan(input=0.65, between=0.2)
    preset = Preset(model="dropsmith_recipes.models:awd", plan=plan, budget=budget)
    return _recipe("wikitext2", preset, (68.7, 65.6), 33_556_078)
