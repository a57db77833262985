"""The base of objectives whose first view makes the target of the second, where it is confident."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError, excerpt
from dropsmith.instances import check_word
from dropsmith.objectives._agreement import (
    CONSISTENCY,
    TASK,
    ConsistencyObjective,
    ConsistencyTerm,
)
from dropsmith.objectives._objective import LossFunction, check_number
from dropsmith.objectives._symmetric import wide
from dropsmith.objectives._term_rows import TermRows, term_mask
from dropsmith.objectives.consistency import consistency
from dropsmith.objectives.distances import Distance
from dropsmith.objectives.losses import check_loss
from dropsmith.passes import Views
from dropsmith.terms import Loss, Mean, Terms

CONFIDENT = "confident"
"""The share of rows without a label whose prediction is confident; it is logged, and no loss."""

AverageOver = Literal["confident", "unlabelled"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ConfidentTargets(ConsistencyObjective):
    """The task loss of view 0, and view 1's divergence from a constant target made of view 0."""

    confidence: float = 0.8
    average_over: AverageOver = "confident"
    term_rows: TermRows = "unlabelled"
    augment: bool = True

    @property
    @abstractmethod
    def _weight(self) -> float: ...

    @property
    @abstractmethod
    def _distance(self) -> Distance: ...

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.views != 2:
            raise ObjectiveError(
                f"{type(self).__name__}: view 0 makes the target and view 1 learns it, so there "
                f"are 2 views, got views={excerpt(self.views)}\n  leave out views"
            )
        _check_share(self, "confidence", self.confidence)
        check_word("average_over", self.average_over, get_args(AverageOver), ObjectiveError)

    @property
    def consistency_term(self) -> ConsistencyTerm:
        return ConsistencyTerm(
            weight=self._weight,
            distance=self._distance,
            task_loss_views=(0,),
            stop_gradient=0,
        )

    def terms(self, views: Views, loss: LossFunction) -> Terms:
        """As in other objectives, with `confident`: the share of the rows that were confident."""
        view_loss = check_loss(loss(views.outputs[0], views.batches[0]))
        terms = {TASK: self._labelled_loss(views, loss, view_loss).mean}
        if len(views) == 1:
            return terms
        mask = term_mask(views, 0, view_loss, self.term_rows)
        confident = self._confident(views.logits[0])
        terms[CONSISTENCY] = consistency(
            views, self._term().distance, masks=(mask, confident), stop_gradient=0
        )
        rows = slice(views.shared_rows)
        counted = None if mask is None else mask[rows]
        terms[CONFIDENT] = Mean.of(confident[rows].to(torch.float32), counted)
        if self.average_over == "unlabelled":
            terms[CONSISTENCY] = Mean(terms[CONSISTENCY].sum, terms[CONFIDENT].count)
        return terms

    def _labelled_loss(self, views: Views, loss: LossFunction, view_loss: Loss) -> Loss:
        return view_loss

    def _confident(self, scores: Tensor) -> Tensor:
        probabilities = scores.detach().softmax(-1, dtype=wide(scores, scores))
        return probabilities.amax(-1) >= self.confidence


def _check_share(owner: Any, name: str, value: object) -> None:
    check_number(owner, name)
    if not isinstance(value, int | float) or value > 1:
        raise ObjectiveError(
            f"{type(owner).__name__}: {name} is a probability, in [0, 1], got {excerpt(value)}"
        )
