"""Zolna et al. (2018), Fraternal Dropout: its one-layer language model.

A budget counts example-views: a two-view method passes over the data half as often as its epochs
say, and is evaluated twice in each pass. The authors' epochs, and what their schedules count in
them, are therefore doubled here.
"""

from dataclasses import replace

from dropsmith.models import fraternal_plan
from dropsmith.objectives import ExpectationLinear, Fraternal, Objective, PiModel
from dropsmith.tasks import Budget, learning_rates, optimisers
from dropsmith_recipes._preset import Preset, PublishedScore
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.awd_lstm import perplexities

VIEWS = 2
README = "README of kondiz/fraternal-dropout"
_ONE_LAYER = Budget(
    epochs=1000 * VIEWS,
    batch_size=64,
    learning_rate=30.0,
    weight_decay=1.2e-6,
    clip=0.25,
    window=35,
    varying=True,
    reset=0.01,
    optimiser=optimisers.SGD(),
    # The rate falls after more than 20 epochs without a gain, and the run ends below rate 0.1.
    schedule=learning_rates.Plateau(factor=3, patience=21 * VIEWS, least=0.1 / 30),
)
_ONE_LAYER_SMALL = replace(
    _ONE_LAYER,
    epochs=20 * VIEWS,
    batch_size=20,
    learning_rate=10.0,
    schedule=learning_rates.Plateau(factor=3, patience=2 * VIEWS),
)
_UNLIKE_ONE = (
    "the word with number 0 has an input embedding that learns",
    "the best weights are kept over a fall of the rate",
)
NOISE_FREE = "the noise-free view sends gradients into the embedding, too"


def _one_layer(
    name: str,
    about: str,
    objective: Objective,
    shared: tuple[str, ...] = (),
    published_scores: tuple[PublishedScore, ...] = (),
) -> Recipe:
    plan = fraternal_plan(shared=shared)
    models = "dropsmith_recipes.models:one_layer"
    paper = Preset(model=models, plan=plan, budget=_ONE_LAYER)
    noise_free = (NOISE_FREE,) if objective.noise_free else ()
    return Recipe(
        task="penn-treebank",
        name=name,
        about=about,
        source="Zolna et al. (2018), one layer of 655; settings from the authors' code",
        objective=objective,
        paper=paper,
        cpu=replace(paper, model=f"{models}_small", budget=_ONE_LAYER_SMALL, limit=100_000),
        published_scores=published_scores,
        parameters=9_997_440,
        unlike=(*_UNLIKE_ONE, *noise_free),
    )


def one_layer() -> Recipe:
    """Fraternal Dropout, every mask drawn anew for the second view."""
    return _one_layer(
        "fraternal-lstm",
        "two views whose scores should be near, all masks drawn anew",
        Fraternal(kappa=0.15),
        published_scores=perplexities(67.5, 64.9, README),
    )


def one_layer_same_words() -> Recipe:
    """Both views drop the same words: the code's `same_mask_e`."""
    return _shared_group("words")


def one_layer_same_input() -> Recipe:
    """Both views drop the same of the layer's input: `same_mask_i`."""
    return _shared_group("input")


def one_layer_same_weights() -> Recipe:
    """Both views drop the same recurrent weights: `same_mask_w`, which the authors found better."""
    return _shared_group("weights", perplexities(66.9, 64.6, README))


def one_layer_same_output() -> Recipe:
    """Both views drop the same of the output: `same_mask_o`."""
    return _shared_group("output")


def _shared_group(group: str, published_scores: tuple[PublishedScore, ...] = ()) -> Recipe:
    return _one_layer(
        f"fraternal-lstm-same-{group}",
        f"the same, with one mask of the {group} for both views",
        Fraternal(kappa=0.15),
        shared=(group,),
        published_scores=published_scores,
    )


def one_layer_expectation_linear() -> Recipe:
    """Expectation-linear dropout: the second view is noise-free and carries no task loss."""
    about = "a noisy view whose scores should be near those without noise"
    return _one_layer("expectation-linear-lstm", about, ExpectationLinear(kappa=0.25))


def one_layer_pi() -> Recipe:
    """The Π-model: the task loss of the first view alone."""
    about = "two views whose scores should be near, the task loss on the first alone"
    return _one_layer("pi-lstm", about, PiModel(kappa=0.15))
