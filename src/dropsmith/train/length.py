"""How many steps a run makes, when it is evaluated and how fast it learns."""

import math
from dataclasses import dataclass

from dropsmith.objectives import Objective
from dropsmith.tasks import Budget


@dataclass(frozen=True)
class Length:
    """The example-views seen after each step of a run, up to its budget.

    Args:
        views: after 0, 1, 2, … steps.
        examples: how many training examples there are; that many example-views are an epoch.
    """

    views: tuple[int, ...]
    examples: int

    @classmethod
    def of(cls, budget: Budget, objective: Objective, examples: int) -> "Length":
        """The fewest steps that see the budget's example-views.

        A step of n views of a batch of B sees B for the first and `objective.share` of B for each
        of the others, so a two-view method makes half the steps of a one-view method.

        >>> from dropsmith.objectives import TaskLoss, TwoSample
        >>> budget = Budget(epochs=2, batch_size=10, learning_rate=1e-3)
        >>> Length.of(budget, TaskLoss(), 35).steps, Length.of(budget, TwoSample(), 35).steps
        (7, 4)
        """
        rows = min(budget.batch_size, examples)
        some = math.ceil(rows * objective.share)
        views = [0]
        while views[-1] < budget.epochs * examples:
            views.append(views[-1] + rows + some * (objective.views_at(len(views)) - 1))
        return cls(tuple(views), examples)

    @property
    def steps(self) -> int:
        """How many steps the run makes."""
        return len(self.views) - 1

    def epoch(self, step: int) -> float:
        """How many epochs of example-views are done after a step."""
        return self.views[step] / self.examples

    def evaluates(self, step: int) -> bool:
        """Whether a step completes an epoch of example-views, or the run."""
        before, after = self.views[step - 1], self.views[step]
        return step == self.steps or before // self.examples < after // self.examples


def learning_rate(step: int, steps: int, budget: Budget) -> float:
    """The rate at step `step` (from 1) of `steps`: a linear rise, then half a cosine towards 0.

    The schedule spans the run's own steps, so that a method of half as many steps is not cut off
    in the middle of it.

    >>> budget = Budget(epochs=1, batch_size=1, learning_rate=1.0, warmup=0.2)
    >>> [round(learning_rate(step, 10, budget), 2) for step in (1, 2, 6, 10)]
    [0.5, 1.0, 0.5, 0.0]
    """
    rise = max(1, round(steps * budget.warmup))
    if step <= rise:
        return budget.learning_rate * step / rise
    share = (step - rise) / (steps - rise)
    return budget.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
