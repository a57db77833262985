"""Objectives without a consistency term: the plain one, and the control for those that have one."""

from dataclasses import dataclass

from torch import Tensor

from dropsmith.objectives._agreement import TASK, task_terms
from dropsmith.objectives._objective import MOST_VIEWS, LossFunction, Objective, check_integer
from dropsmith.passes import Views
from dropsmith.terms import Terms


@dataclass(frozen=True, kw_only=True, repr=False)
class TaskLoss(Objective):
    """The task loss of one view: training as usual.

    >>> TaskLoss().views_at(1)
    1
    """

    def views_at(self, step: int) -> int:
        return 1

    def terms(self, views: Views, loss: LossFunction) -> Terms:
        return task_terms(views, loss)

    def total(self, terms: Terms, step: int) -> Tensor:
        return terms[TASK].value


@dataclass(frozen=True, kw_only=True, repr=False)
class TwoSample(Objective):
    """The mean task loss over several views that need not agree: the control of a comparison.

    A consistency method also averages the task loss over two draws of the noise. What it gains
    over this objective is due to its consistency term.

    >>> TwoSample()
    TwoSample()

    Args:
        views: how many passes see each batch.
    """

    views: int = 2

    def __post_init__(self) -> None:
        check_integer(self, "views", minimum=2, maximum=MOST_VIEWS)

    def views_at(self, step: int) -> int:
        return self.views

    def terms(self, views: Views, loss: LossFunction) -> Terms:
        return task_terms(views, loss)

    def total(self, terms: Terms, step: int) -> Tensor:
        return terms[TASK].value
