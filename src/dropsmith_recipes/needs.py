"""What a run of a recipe's published settings takes."""

from dropsmith.tasks import optimisers
from dropsmith_recipes._recipe import Recipe

_BYTES = 4
"""Of a number in single precision, in which recipes run unless `--precision` says otherwise."""


def needs(recipe: Recipe) -> str:
    """The epochs of the run, the parameters of the model and the memory of its training state.

    The memory is that of weights, gradients and the optimiser's state in single precision, without
    activations. How many hours a run takes is not said, for none was measured.

    >>> from dropsmith_recipes import find_recipe
    >>> needs(find_recipe("penn-treebank/variational-lstm-large"))
    '55 epochs, 66.0 M, 0.5 GB'
    >>> needs(find_recipe("mrpc/bert-base"))
    '10 epochs, 108.3 M, 1.7 GB'

    Args:
        recipe: the recipe.
    """
    epochs = f"{recipe.paper.budget.epochs:g} epochs"
    searched = recipe.paper.search
    trials = f"{searched.trials} trials, then " if searched is not None else ""
    if recipe.parameters is None:
        return f"{trials}{epochs}"
    size = recipe.parameters * _BYTES * (2 + _moments(recipe.paper.budget.optimiser))
    return f"{trials}{epochs}, {recipe.parameters / 1e6:.1f} M, {size / 1e9:.1f} GB"


def _moments(optimiser: object) -> int:
    """How many numbers an optimiser keeps for each weight."""
    if isinstance(optimiser, optimisers.SGD):
        return int(optimiser.momentum > 0)
    return 2 if isinstance(optimiser, optimisers.AdamW | optimisers.Adam) else 1
