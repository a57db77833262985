"""The number of steps of a run, its evaluations and its learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass

from dropsmith.objectives import Objective
from dropsmith.tasks import Budget, Part, learning_rates


@dataclass(frozen=True)
class Length:
    """The example-views seen after each step of a run, up to its budget.

    Args:
        views: the example-views after 0, 1, 2, … steps.
        counted: those that the budget counts: all of them, or those with a label of each step's
            first view where the budget has equal updates.
        examples: the number of training examples, which are one epoch of what is counted.
    """

    views: tuple[int, ...]
    counted: tuple[int, ...]
    examples: int

    @classmethod
    def of(cls, budget: Budget, objective: Objective, train: Part, seed: int = 0) -> "Length":
        """The fewest steps with the example-views of the budget.

        A step of n views of B examples counts B for the first view and
        `objective.batch_fraction` × B for each of the others, so a
        two-view method makes half the steps of a one-view method. Where the budget has equal
        updates, only the first view counts, and both make as many steps. Examples without a label
        count like others; where updates are equal they do not count, so that methods which read
        them make as many steps as others.

        >>> import torch
        >>> from dropsmith.objectives import TaskLoss, TwoSample
        >>> from dropsmith.tasks import Split
        >>> budget = Budget(epochs=2, batch_size=10, learning_rate=1e-3)
        >>> train = Split({"x": torch.zeros(35)})
        >>> Length.of(budget, TaskLoss(), train).steps, Length.of(budget, TwoSample(), train).steps
        (7, 4)
        """
        settings = {"seed": seed, "batch_size": budget.batch_size}
        views, counted = [0], [0]
        while counted[-1] < budget.epochs * len(train):
            step = len(views)
            further_views = objective.views_at(step) - 1
            first, further = train.count_examples(step, **settings), 0
            if further_views:
                share = objective.batch_fraction
                further = further_views * train.count_second(step, share=share, **settings)
            views.append(views[-1] + first + further)
            labelled = train.count_labelled(step, **settings)
            counted.append(counted[-1] + (first + further if budget.equal == "views" else labelled))
        return cls(tuple(views), tuple(counted), len(train))

    @property
    def steps(self) -> int:
        """The number of steps of the run."""
        return len(self.views) - 1

    def epoch(self, step: int) -> float:
        """The epochs, of what is counted, that are done after a step."""
        return self.counted[step] / self.examples

    def evaluates(self, step: int) -> bool:
        """True if a step ends an epoch, or the run."""
        before, after = self.counted[step - 1], self.counted[step]
        return step == self.steps or before // self.examples < after // self.examples


def learning_rate(step: int, length: Length, budget: Budget, losses: Sequence[float] = ()) -> float:
    """The learning rate of step `step` (from 1) in the budget's schedule.

    >>> import torch
    >>> from dropsmith.objectives import TaskLoss
    >>> from dropsmith.tasks import Split
    >>> from dropsmith.tasks import learning_rates
    >>> stairs = learning_rates.Staircase(factor=2, after=1)
    >>> budget = Budget(epochs=3, batch_size=10, learning_rate=1.0, schedule=stairs)
    >>> length = Length.of(budget, TaskLoss(), Split({"x": torch.zeros(20)}))
    >>> [learning_rate(step, length, budget) for step in range(1, 7)]
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5]

    Args:
        step: the next step.
        length: of the run.
        budget: of the run.
        losses: the validation loss of every evaluation so far.
    """
    moment = learning_rates.Moment(
        step=step,
        steps=length.steps,
        epochs=length.epoch(step - 1),
        losses=losses,
        warmup=budget.warmup,
    )
    return budget.learning_rate * budget.schedule.share(moment)
