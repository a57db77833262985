"""What the recipes of Liang, Wu et al. (2021), R-Drop, have in common.

A budget counts example-views: of a two-view method an epoch is half a pass over the data. The
authors' epochs are therefore multiplied by the views that a step has on average.
"""

from collections.abc import Iterable
from dataclasses import replace

from dropsmith.objectives import Objective
from dropsmith.tasks import Budget
from dropsmith_recipes._recipe import Certainty, Published

PAPER = "Liang, Wu et al. (2021)"

Row = tuple[str, float, Certainty]
"""A published number: the score of ours that it is, its value, and where it was seen."""


def published(rows: Iterable[Row], source: str, digits: int = 2) -> tuple[Published, ...]:
    """The numbers of a table."""
    return tuple(
        Published(score=score, value=value, certainty=seen, source=source, digits=digits)
        for score, value, seen in rows
    )


def for_views(budget: Budget, objective: Objective) -> Budget:
    """The budget of as many passes over the data with more views in each.

    >>> from dropsmith.objectives import RDrop, TaskLoss
    >>> one = Budget(epochs=10, batch_size=1, learning_rate=1.0)
    >>> [for_views(one, o).epochs for o in (TaskLoss(), RDrop(alpha=5), RDrop(alpha=5, every=5))]
    [10, 20, 12]
    """
    every = getattr(objective, "every", 1)
    views = [objective.views_at(step) for step in range(1, every + 1)]
    return replace(budget, epochs=round(budget.epochs * sum(views) / every))
