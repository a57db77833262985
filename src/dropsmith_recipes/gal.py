"""Gal & Ghahramani (2016), Table 1: language models on the Penn Treebank, and what they beat.

The authors' code sums the loss over the 35 steps of a window and cuts gradients of that sum; for
plain steps, our mean over steps with 35 times the rate and a 35th of the clip is the same.
"""

from collections.abc import Mapping
from dataclasses import replace

from dropsmith.models import naive_plan, variational_plan
from dropsmith.objectives import TaskLoss
from dropsmith.plans import Plan
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Certainty, Preset, PublishedScore
from dropsmith_recipes._recipe import Recipe

WINDOW = 35
_TABLE = "Gal & Ghahramani (2016), Table 1"

Rows = Mapping[str, tuple[float, float | None]]
"""Published numbers by the score they are of: value, and standard deviation over three runs."""

_UNLIKE = (
    "an epoch begins from a state of zeros, where the code goes on from the last validation state",
    "samples keep the noise on words, which the code switches off; it takes 2,000 of them",
)


def _budget(epochs: int, after: int, factor: float, clip: float, shrink: float) -> Budget:
    return Budget(
        epochs=epochs,
        batch_size=20,
        learning_rate=1.0 * WINDOW,
        clip=clip / WINDOW,
        window=WINDOW,
        optimiser=optimisers.SGD(shrink=shrink),
        schedule=learning_rates.Staircase(factor=factor, after=after),
    )


MEDIUM = _budget(39, after=6, factor=1.2, clip=5, shrink=1e-7)
LARGE = _budget(55, after=10, factor=1.15, clip=10, shrink=1e-7)
ZAREMBA_LARGE = _budget(55, after=14, factor=1.15, clip=10, shrink=0.0)
SMALL = _budget(13, after=4, factor=2, clip=5, shrink=1e-7)


def _presets(model: str, plan: Plan, budget: Budget, samples: int) -> tuple[Preset, Preset]:
    paper = Preset(
        model=f"dropsmith_recipes.models:zaremba_{model}", plan=plan, budget=budget, samples=samples
    )
    small = "dropsmith_recipes.models:zaremba_small"
    cpu = replace(paper, model=small, budget=SMALL, limit=100_000, samples=min(samples, 10))
    return paper, cpu


def _published_scores(rows: Rows, certainty: Certainty) -> tuple[PublishedScore, ...]:
    return tuple(
        PublishedScore(score=score, value=value, spread=spread, certainty=certainty, source=_TABLE)
        for score, (value, spread) in rows.items()
    )


def _variational(size: str, tied: bool, rows: Rows) -> Recipe:
    large = size == "large"
    words, layers = (0.3, 0.5) if large else (0.2, 0.35)
    plan = variational_plan(words=words, input=layers, recurrent=words, output=layers, tied=tied)
    paper, cpu = _presets(size, plan, LARGE if large else MEDIUM, samples=100)
    mask = "one mask for all gates" if tied else "a mask for each gate"
    rates = (
        ()
        if large
        else (
            "rates and schedule of the medium model stand in no text that was found, and are ours",
        )
    )
    return Recipe(
        task="penn-treebank",
        name=f"variational-lstm-{size}" + ("-tied" if tied else ""),
        about=f"variational dropout, {mask}, held over a window",
        source=_TABLE + (", tied weights" if tied else ", untied weights"),
        objective=TaskLoss(),
        paper=paper,
        cpu=cpu,
        published_scores=_published_scores(rows, "quoted"),
        parameters=66_034_000 if large else 19_780_400,
        unlike=(*_UNLIKE, *rates),
    )


def variational_medium() -> Recipe:
    """Variational (untied weights), medium; MC."""
    return _variational(
        "medium",
        tied=False,
        rows={
            "validation_perplexity": (81.9, 0.2),
            "test_perplexity": (79.7, 0.1),
            "test_mc_perplexity": (78.6, 0.1),
        },
    )


def variational_medium_tied() -> Recipe:
    """Variational (tied weights), medium; MC."""
    return _variational(
        "medium",
        tied=True,
        rows={
            "validation_perplexity": (81.8, 0.2),
            "test_perplexity": (79.7, 0.1),
            "test_mc_perplexity": (79.0, 0.1),
        },
    )


def variational_large() -> Recipe:
    """Variational (untied weights), large; MC."""
    return _variational(
        "large",
        tied=False,
        rows={
            "validation_perplexity": (77.9, 0.3),
            "test_perplexity": (75.2, 0.2),
            "test_mc_perplexity": (73.4, 0.0),
        },
    )


def variational_large_tied() -> Recipe:
    """Variational (tied weights), large; MC."""
    return _variational(
        "large",
        tied=True,
        rows={
            "validation_perplexity": (77.3, 0.2),
            "test_perplexity": (75.0, 0.1),
            "test_mc_perplexity": (74.1, 0.0),
        },
    )


def _naive(size: str, rate: float, budget: Budget, rows: Rows) -> Recipe:
    plan = naive_plan(input=rate, between=rate, output=rate)
    paper, cpu = _presets(size, plan, budget, samples=0)
    return Recipe(
        task="penn-treebank",
        name=f"naive-lstm-{size}",
        about="dropout with new masks at every step, none on the recurrent state",
        source=f"{_TABLE}, Zaremba et al. (2014)",
        objective=TaskLoss(),
        paper=paper,
        cpu=cpu,
        published_scores=_published_scores(rows, "quoted"),
        parameters=66_034_000 if size == "large" else 19_780_400,
        unlike=(_UNLIKE[0], "rate and schedule stand in no text that was found, and are ours"),
    )


def naive_medium() -> Recipe:
    """Zaremba et al. (2014), medium: what variational dropout is compared with."""
    budget = replace(MEDIUM, optimiser=optimisers.SGD())
    rows = {"validation_perplexity": (86.2, None), "test_perplexity": (82.7, None)}
    return _naive("medium", 0.5, budget, rows)


def naive_large() -> Recipe:
    """Zaremba et al. (2014), large."""
    rows = {"validation_perplexity": (82.2, None), "test_perplexity": (78.4, None)}
    return _naive("large", 0.65, ZAREMBA_LARGE, rows)
