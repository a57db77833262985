"""Zolna et al. (2018), Fraternal Dropout on the three-layer model of AWD-LSTM.

Epochs and what is counted in them are doubled, as in `fraternal`. The phase that follows is in
`fine_tuning`.
"""

from dataclasses import replace

from dropsmith.models import awd_plan
from dropsmith.objectives import ExpectationLinear, Fraternal, Objective, PiModel
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset, PublishedScore
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.awd_lstm import perplexities
from dropsmith_recipes.fraternal import NOISE_FREE, README, VIEWS

_PTB = Budget(
    epochs=750 * VIEWS,
    batch_size=20,
    learning_rate=30.0,
    weight_decay=1.2e-6,
    clip=0.25,
    window=70,
    varying=True,
    optimiser=optimisers.TriggeredASGD(nonmono=60 * VIEWS),
    schedule=learning_rates.Constant(),
)
_SMALL = replace(
    _PTB,
    epochs=20 * VIEWS,
    learning_rate=10.0,
    optimiser=optimisers.TriggeredASGD(nonmono=2 * VIEWS),
)
UNLIKE = ("the average has no lag behind the rate of a window, and counts the first weights",)


def _three_layers(
    task: str,
    name: str,
    about: str,
    objective: Objective,
    published_scores: tuple[PublishedScore, ...] = (),
) -> Recipe:
    wikitext = task == "wikitext2"
    plan = awd_plan(between=0.2, input=0.65) if wikitext else awd_plan(between=0.3)
    models = "dropsmith_recipes.models:awd"
    budget = replace(_PTB, batch_size=40) if wikitext else _PTB
    paper = Preset(model=models, plan=plan, budget=budget)
    noise_free = (NOISE_FREE,) if objective.noise_free else ()
    return Recipe(
        task=task,
        name=name,
        about=about,
        source="Zolna et al. (2018), AWD-LSTM's model; settings from the authors' code",
        objective=objective,
        paper=paper,
        cpu=replace(paper, model=f"{models}_small", budget=_SMALL, limit=100_000),
        published_scores=published_scores,
        parameters=33_556_078 if wikitext else 24_221_600,
        unlike=(*UNLIKE, *noise_free),
    )


_FRATERNAL = "AWD-LSTM's noise in two views whose scores should be near; no AR, no TAR"


def penn_treebank() -> Recipe:
    """Fraternal Dropout on AWD-LSTM's model, Penn Treebank, before fine-tuning."""
    return _three_layers(
        "penn-treebank",
        "fraternal-awd-lstm",
        _FRATERNAL,
        Fraternal(kappa=0.1),
        perplexities(59.8, 58.0, README),
    )


def expectation_linear() -> Recipe:
    """Expectation-linear dropout on that model; no published row is known to us."""
    about = "AWD-LSTM's noise, scores near those without noise"
    objective = ExpectationLinear(kappa=0.1)
    return _three_layers("penn-treebank", "expectation-linear-awd-lstm", about, objective)


def pi() -> Recipe:
    """The Π-model on that model; no published row is known to us."""
    about = "AWD-LSTM's noise in two views, the task loss on the first alone"
    return _three_layers("penn-treebank", "pi-awd-lstm", about, PiModel(kappa=0.1))


def wikitext() -> Recipe:
    """Fraternal Dropout on AWD-LSTM's model, WikiText-2, before fine-tuning."""
    return _three_layers(
        "wikitext2",
        "fraternal-awd-lstm",
        _FRATERNAL,
        Fraternal(kappa=0.1),
        perplexities(68.3, 65.3, README),
    )
