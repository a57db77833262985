"""The common parts of the recipes of Liang, Wu et al. (2021), R-Drop.

A budget counts example-views: of a two-view method an epoch is half a pass over the data. The
authors' epochs are therefore multiplied by the views that a step has on average.
"""

from collections.abc import Iterable
from dataclasses import replace

from dropsmith.objectives import Objective
from dropsmith.tasks import Budget, optimisers
from dropsmith_recipes._preset import Certainty, PublishedScore

PAPER = "Liang, Wu et al. (2021)"

Row = tuple[str, float, Certainty, str]
"""A published number: the name of the score in our records, its value, and the kind and place of
the text in which it was seen."""


def published_scores(rows: Iterable[Row], digits: int = 2) -> tuple[PublishedScore, ...]:
    """The numbers of a table."""
    return tuple(
        PublishedScore(score=score, value=value, certainty=certainty, source=source, digits=digits)
        for score, value, certainty, source in rows
    )


def for_views(budget: Budget, objective: Objective) -> Budget:
    """The budget of as many passes over the data with more views in each.

    >>> from dropsmith.objectives import RDrop, TaskLoss
    >>> one = Budget(epochs=10, batch_size=1, learning_rate=1.0)
    >>> [for_views(one, o).epochs for o in (TaskLoss(), RDrop(alpha=5), RDrop(alpha=5, every=5))]
    [10, 20, 12]
    """
    interval = getattr(objective, "every", 1)
    views = [objective.views_at(step) for step in range(1, interval + 1)]
    return replace(budget, epochs=round(budget.epochs * sum(views) / interval))


def for_summed_losses(budget: Budget, objective: Objective) -> Budget:
    """The budget whose steps are those of the authors', who add up their two views' losses.

    Ours is their mean, which has half the gradient: it is clipped at half the length, and where a
    step goes by the gradient's length, at twice the rate and with half the decay.

    >>> from dropsmith.objectives import RDrop
    >>> one = Budget(epochs=1, batch_size=1, learning_rate=0.1, optimiser=optimisers.SGD())
    >>> made = for_summed_losses(one, RDrop(alpha=5))
    >>> made.learning_rate, made.clip
    (0.2, 0.5)

    Args:
        budget: with the authors' own numbers.
        objective: one view leaves the budget as it is.
    """
    if objective.views_at(1) == 1:
        return budget
    clipped_budget = replace(budget, clip=None if budget.clip is None else budget.clip / 2)
    if not isinstance(budget.optimiser, optimisers.SGD):
        return clipped_budget
    rate, decay = 2 * budget.learning_rate, budget.weight_decay / 2
    return replace(clipped_budget, learning_rate=rate, weight_decay=decay)
