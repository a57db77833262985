"""The second phase of AWD-LSTM and of Fraternal Dropout: on from the best weights of the first.

Both papers end in it. Averaging begins at the first step, AR and TAR are on, and the run is over
where validation gets worse over several epochs; weights that are no better than those of the first
phase are not kept. Zolna et al. (2018) leave their own term out of it, so one view is made.

The noise is that of the first phase, since the authors' scripts load the whole model with its
rates. The script for Fraternal Dropout on Penn Treebank asks for 0.25 between the layers, of a
model that it makes and then leaves for the one it loads, whose rate is 0.3.
"""

from dataclasses import replace

from dropsmith.objectives import ActivationNorm, TaskLoss
from dropsmith.tasks import learning_rates, optimisers
from dropsmith_recipes import awd_lstm, fraternal, fraternal_awd
from dropsmith_recipes._preset import PublishedScore
from dropsmith_recipes._recipe import Recipe
from dropsmith_recipes.awd_lstm import perplexities

_AWD_UNLIKE = (*awd_lstm.UNLIKE, "without the cache that follows in the paper")


def tables() -> tuple[Recipe, ...]:
    """Both papers on both texts."""
    return (
        _second(
            awd_lstm.penn_treebank(),
            epochs=500,
            batch_size=20,
            published_scores=perplexities(58.8, 56.5, f"{awd_lstm.README}, after fine-tuning"),
            unlike=_AWD_UNLIKE,
        ),
        _second(
            awd_lstm.wikitext(),
            epochs=750,
            batch_size=80,
            published_scores=perplexities(67.4, 64.7, f"{awd_lstm.README}, after fine-tuning"),
            unlike=_AWD_UNLIKE,
        ),
        _second(
            fraternal_awd.penn_treebank(),
            epochs=500,
            batch_size=20,
            published_scores=perplexities(58.9, 56.8, fraternal.README),
            unlike=fraternal_awd.UNLIKE,
        ),
        _second(
            fraternal_awd.wikitext(),
            epochs=750,
            batch_size=80,
            published_scores=perplexities(66.8, 64.1, fraternal.README),
            unlike=fraternal_awd.UNLIKE,
        ),
    )


def _second(
    first: Recipe,
    *,
    epochs: int,
    batch_size: int,
    published_scores: tuple[PublishedScore, ...],
    unlike: tuple[str, ...],
) -> Recipe:
    budget = replace(
        first.paper.budget,
        epochs=epochs,
        batch_size=batch_size,
        optimiser=optimisers.ASGD(),
        schedule=learning_rates.UntilWorse(nonmono=5),
    )
    small = replace(
        first.cpu.budget,
        epochs=10,
        optimiser=optimisers.ASGD(),
        schedule=learning_rates.UntilWorse(nonmono=2),
    )
    return Recipe(
        task=first.task,
        name=f"{first.name}-finetuned",
        about=f"on from the best weights of {first.name}: averaged from the start, AR and TAR",
        source=first.source,
        objective=ActivationNorm(of=TaskLoss(), alpha=2.0, beta=1.0),
        paper=replace(first.paper, budget=budget),
        cpu=replace(first.cpu, budget=small),
        published_scores=published_scores,
        parameters=first.parameters,
        unlike=unlike,
        after=first,
    )
