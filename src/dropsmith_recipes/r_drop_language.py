"""Liang, Wu et al. (2021), R-Drop: language models of WikiText-103."""

from dataclasses import dataclass, replace

from dropsmith.models import adaptive_plan, gpt_plan
from dropsmith.objectives import Objective, RDrop, TaskLoss
from dropsmith.plans import Plan
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.r_drop import PAPER, for_summed_losses, for_views

_TABLE = f"{PAPER}, WikiText-103"
_PRECISION = "not in half precision, and a step sees its whole batch at once"
_ONE_VIEW = TaskLoss()

# 50,000 updates of 256,000 tokens, of 103 million.
_GPT = Budget(
    epochs=124,
    batch_size=500,
    learning_rate=5e-4,
    warmup=4_000 / 50_000,
    clip=None,
    window=512,
    optimiser=optimisers.AdamW(second=0.98),
    schedule=learning_rates.InverseRoot(),
)
# 286,000 updates of 73,728 tokens.
_ADAPTIVE = Budget(
    epochs=204,
    batch_size=24,
    learning_rate=1.0,
    warmup=16_000 / 286_000,
    clip=0.1,
    window=3_072,
    optimiser=optimisers.SGD(momentum=0.99, ahead=True),
    schedule=learning_rates.Cosine(),
)
# 320,000 of them.
_ADAPTIVE_TWICE = replace(_ADAPTIVE, epochs=229, warmup=16_000 / 320_000)


def _short(budget: Budget) -> Budget:
    # A thousand steps are few for a memory of a hundred.
    steps = optimisers.SGD(momentum=0.9, ahead=True)
    return replace(budget, epochs=4, batch_size=8, window=64, optimiser=steps)


@dataclass(frozen=True)
class _Model:
    """A model with which the paper has two rows.

    Args:
        functions: what makes it and its small shape, in `transformer_models`.
        plan: where both drop what.
        paper, cpu: their budgets of one view.
        parameters: how many it has.
        unlike: what is known to differ from the authors' code.
    """

    functions: tuple[str, str]
    plan: Plan
    paper: Budget
    cpu: Budget
    parameters: int
    unlike: tuple[str, ...]


_TRANSFORMER = _Model(
    functions=("language_model", "small_language_model"),
    plan=gpt_plan("dropout", 0.1),
    paper=_GPT,
    cpu=replace(_GPT, epochs=4, batch_size=8, learning_rate=2e-3, window=64, clip=1.0),
    parameters=291_069_696,
    unlike=(
        "every window is read by itself in evaluation, which costs its first words their past",
        "schedule, warm-up and β₂ are those of fairseq's own example for WikiText-103",
        "dropout is not in attention",
        _PRECISION,
    ),
)
_BANDS = _Model(
    functions=("adaptive_language_model", "small_adaptive_language_model"),
    plan=adaptive_plan(branches=0.3, inner=0.1, attention=0.1, head=0.2),
    paper=_ADAPTIVE,
    cpu=_short(_ADAPTIVE),
    parameters=246_932_928,
    unlike=(
        "every window is read by itself in evaluation; the authors' script scores 112 words at a "
        "time, after 400 before them",
        "one cosine down to 0, where the script's ends at a ten-thousandth",
        _PRECISION,
    ),
)
_BANDS_TWICE = replace(
    _BANDS,
    paper=_ADAPTIVE_TWICE,
    cpu=_short(_ADAPTIVE_TWICE),
    unlike=(
        "views agree in the probabilities of all words; the released code compares them within "
        "each band, and in the rarer bands only where the next word lies there",
        "that code cannot run as released, and takes the second word of each rarer band for "
        "padding",
        "the script goes on from an earlier checkpoint, and 34,000 of its steps are of a second "
        "cosine",
        *_BANDS.unlike,
    ),
)


def tables() -> tuple[Recipe, ...]:
    """Both rows of each model."""
    agreeing, alike = RDrop(alpha=1.0), "two views that agree"
    return (
        _row("transformer", "GPT-2's layers with dropout", _TRANSFORMER),
        _row("r-drop", alike, _TRANSFORMER, agreeing),
        _row("adaptive", "words in bands, with dropout", _BANDS),
        _row("adaptive-r-drop", alike, _BANDS_TWICE, agreeing),
    )


def _row(name: str, about: str, model: _Model, objective: Objective = _ONE_VIEW) -> Recipe:
    paper, cpu = (
        f"dropsmith_recipes.transformer_models:{function}" for function in model.functions
    )
    return Recipe(
        task="wikitext103",
        name=name,
        about=about,
        source=f"{_TABLE}; settings from the authors' script",
        objective=objective,
        paper=Preset(
            model=paper,
            plan=model.plan,
            budget=for_summed_losses(for_views(model.paper, objective), objective),
            limit=0,
        ),
        cpu=Preset(
            model=cpu,
            plan=model.plan,
            budget=for_views(model.cpu, objective),
            limit=100_000,
            task="wikitext2-transformer",
        ),
        parameters=model.parameters,
        unlike=model.unlike,
    )
