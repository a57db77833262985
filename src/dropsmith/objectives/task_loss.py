"""Objectives without a consistency term: one view, and the control with several views."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.instances import check_word
from dropsmith.objectives._agreement import TASK, task_terms
from dropsmith.objectives._objective import MOST_VIEWS, LossFunction, Objective, check_integer
from dropsmith.passes import Views
from dropsmith.terms import Terms


@dataclass(frozen=True, kw_only=True, repr=False)
class TaskLoss(Objective):
    """The task loss of one view, as in training without this library.

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
    """The mean task loss over several views, without a consistency term.

    This is the control of a comparison: a consistency method also averages the task loss over two
    draws of the noise, so the difference between the two is the effect of its consistency term.

    >>> TwoSample()
    TwoSample()

    Args:
        views: the number of forward passes over each batch.
        draws: `independent` masks in the views; or `stratified` ones, where a plan draws them: each
            mask is by itself what it was, and together the views cover each unit's distribution
            evenly, which lowers the variance of the gradient.
    """

    views: int = 2
    draws: Literal["independent", "stratified"] = "independent"

    def __post_init__(self) -> None:
        check_word("draws", self.draws, ("independent", "stratified"), ObjectiveError)
        check_integer(self, "views", minimum=2, maximum=MOST_VIEWS)

    def views_at(self, step: int) -> int:
        return self.views

    @property
    def strata(self) -> int:
        return self.views if self.draws == "stratified" else 0

    def terms(self, views: Views, loss: LossFunction) -> Terms:
        return task_terms(views, loss)

    def total(self, terms: Terms, step: int) -> Tensor:
        return terms[TASK].value
