"""The base of objectives with one consistency term: its weight at each step, and the total."""

from abc import abstractmethod
from dataclasses import dataclass
from math import exp
from typing import Literal, get_args

from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.instances import check_bool, check_word
from dropsmith.objectives._from_head import HEAD_DISTANCES, HeadRequest, from_head
from dropsmith.objectives._objective import (
    MOST_VIEWS,
    LossFunction,
    Objective,
    check_fraction,
    check_integer,
)
from dropsmith.objectives._small_scores import small_terms
from dropsmith.objectives._term_rows import TERM_ROWS, TermRows, term_mask
from dropsmith.objectives.consistency import consistency
from dropsmith.objectives.distances import Distance
from dropsmith.objectives.losses import check_loss
from dropsmith.passes import Views
from dropsmith.terms import Loss, Mean, Terms, total

TASK = "task"
CONSISTENCY = "consistency"

Ramp = Literal["linear", "gaussian"]


@dataclass(frozen=True, kw_only=True)
class ConsistencyTerm:
    """A consistency term, as a value: the distance between views, and its weight in the loss.

    Args:
        weight: the factor of the term's mean over items, added to the mean task loss.
        distance: `distance(a, b)` gives one number per item, from the scores of two views, whose
            last dimension is the classes.
        task_loss_views: the views that carry the task loss, or None for all.
        stop_gradient: the view that is a constant in the term, or None.
    """

    weight: float
    distance: Distance
    task_loss_views: tuple[int, ...] | None = None
    stop_gradient: int | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class ConsistencyObjective(Objective):
    """The mean task loss over the views that carry one, plus one weighted consistency term.

    Write an objective of your own as a frozen keyword-only dataclass with a `consistency_term`;
    stacking, masks, warmup and the settings below come from this class. Number fields that are
    annotated `float` can be set on the command line, as in `--set weight=0.5`.

    >>> import torch
    >>> def cosine(a, b):
    ...     return 1 - torch.cosine_similarity(a, b, dim=-1)
    >>> @dataclass(frozen=True, kw_only=True, repr=False)
    ... class Cosine(ConsistencyObjective):
    ...     weight: float = 1.0
    ...
    ...     @property
    ...     def consistency_term(self):
    ...         return ConsistencyTerm(weight=self.weight, distance=cosine)
    >>> Cosine(weight=0.5, warmup=100).weight_at(50)
    0.25

    Args:
        views: the number of forward passes over each batch; every pair is compared.
        warmup: the number of steps over which the weight rises from 0 to its full value.
        ramp: how it rises: `linear`, or `gaussian` for exp(−5 (1 − step / warmup)²), as in Laine &
            Aila (2017).
        every: the term is computed at each step that is divisible by this, with the same weight;
            the other steps have one view and its task loss.
        batch_fraction: the leading share of the batch that views after the first see, in (0, 1];
            the term is a mean over these rows.
        term_rows: the rows whose items the term counts: `labelled`, those that the task loss
            counts; `all`, also those of rows without a label, which are rows where the task loss
            counts nothing; or `unlabelled`, of these rows alone. A term that counts no item is 0.
        augment: whether `train` and `compare` show the second view rows without a label that are
            augmented, where the task has an augmentation; the second view then has these rows
            alone.
    """

    views: int = 2
    warmup: int = 0
    ramp: Ramp = "linear"
    every: int = 1
    batch_fraction: float = 1.0  # pyright: ignore[reportIncompatibleMethodOverride] - here it is a setting
    term_rows: TermRows = "labelled"
    augment: bool = False  # pyright: ignore[reportIncompatibleMethodOverride] - here it is a setting

    @property
    @abstractmethod
    def consistency_term(self) -> ConsistencyTerm:
        """The consistency term."""

    def __post_init__(self) -> None:
        check_integer(self, "views", minimum=2, maximum=MOST_VIEWS)
        check_integer(self, "warmup", minimum=0)
        check_integer(self, "every", minimum=1)
        check_fraction(self, "batch_fraction")
        check_word("term_rows", self.term_rows, TERM_ROWS, ObjectiveError)
        check_word("ramp", self.ramp, get_args(Ramp), ObjectiveError)
        self._check_augment()
        # Making it checks the settings that it is made of.
        self._term()

    def _check_augment(self) -> None:
        check_bool("augment", self.augment)
        if self.augment and (self.views != 2 or self.term_rows == "labelled"):
            raise ObjectiveError(
                f"{type(self).__name__}: augment=True is for two views of rows without a label, "
                f'got views={self.views} and term_rows="{self.term_rows}"\n'
                '  write views=2 and term_rows="unlabelled", or leave out augment'
            )
        if self.augment and self.batch_fraction < 1:
            raise ObjectiveError(
                f"{type(self).__name__}: with augment=True the second view has the rows without a "
                f"label, got batch_fraction={self.batch_fraction:g}\n  leave one of the two out"
            )

    def _term(self) -> ConsistencyTerm:
        """The consistency term, made once: also where a subclass checks its fields by itself."""
        term = self.__dict__.get("_agreement")
        if term is None:
            term = self.consistency_term
            if not isinstance(term, ConsistencyTerm):
                raise ObjectiveError(
                    f"{type(self).__name__}.consistency_term is a {type(term).__name__}\n"
                    "  return ConsistencyTerm(weight=..., distance=...)"
                )
            object.__setattr__(self, "_agreement", term)
        return term

    @property
    def reads_unlabelled(self) -> bool:
        return self.term_rows != "labelled"

    def views_at(self, step: int) -> int:
        return self.views if step % self.every == 0 else 1

    @property
    def depends_on_step(self) -> bool:
        return self.warmup > 0 or self.every > 1

    def weight_at(self, step: int) -> float:
        """The factor of the mean consistency at a step where it is due."""
        share = min(1.0, step / self.warmup if self.warmup else 1.0)
        height = exp(-5 * (1 - share) ** 2) if self.ramp == "gaussian" else share
        return self._term().weight * height

    def terms(self, views: Views, loss: LossFunction) -> Terms:
        term = self._term()
        is_plain = term.task_loss_views is None and term.stop_gradient is None
        if is_plain and not self.reads_unlabelled:
            means = small_terms(views, loss, term.distance)
            if means is not None:
                return dict(zip((TASK, CONSISTENCY), means, strict=True))
        losses = task_losses(views, loss, term.task_loss_views)
        if (sums := from_head(views, losses, self._request(views))) is not None:
            return dict(zip((TASK, CONSISTENCY), sums, strict=False))
        terms = {TASK: task_mean(losses)}
        if len(views) > 1:
            terms[CONSISTENCY] = consistency(
                views,
                term.distance,
                masks=self._masks(views, losses),
                stop_gradient=term.stop_gradient,
            )
        return terms

    def _masks(self, views: Views, losses: list[Loss]) -> list[Tensor | None]:
        """The items that the term counts, by each view that carries the task loss."""
        numbers = self._term().task_loss_views or range(len(views))
        return [
            term_mask(views, view, view_loss, self.term_rows)
            for view, view_loss in zip(numbers, losses, strict=False)
        ]

    def _request(self, views: Views) -> HeadRequest | None:
        """The request to a fused head; None where it does not have this distance."""
        term, step = self._term(), views.step
        name = HEAD_DISTANCES.get(term.distance)
        has_distance = name is not None and term.stop_gradient is None
        if len(views) > 1 and (self.reads_unlabelled or not has_distance):
            return None
        weight = term.weight if step is None else self.weight_at(step)
        return HeadRequest(
            distance=name or "symmetric_kl", weight=weight, task_loss_views=term.task_loss_views
        )

    def total(self, terms: Terms, step: int) -> Tensor:
        if self.views_at(step) == 1:
            return terms[TASK].value
        if CONSISTENCY not in terms:
            raise ObjectiveError(
                f"{self} needs {self.views} views at step {step}, but its terms are of one view\n"
                "  make objective.views_at(step) views"
            )
        return terms[TASK].value + self.weight_at(step) * terms[CONSISTENCY].value


def task_losses(
    views: Views, loss: LossFunction, task_loss_views: tuple[int, ...] | None = None
) -> list[Loss]:
    """The task loss of each view in `task_loss_views`, or of every view that was made."""
    numbers = range(len(views)) if task_loss_views is None else task_loss_views
    pairs = [(views.outputs[i], views.batches[i]) for i in numbers if i < len(views)]
    return [check_loss(loss(output, batch)) for output, batch in pairs]


def task_terms(views: Views, loss: LossFunction) -> Terms:
    """The mean task loss over all views, and nothing else."""
    losses = task_losses(views, loss)
    sums = from_head(
        views, losses, HeadRequest(distance="symmetric_kl", weight=0.0, task_loss_views=None)
    )
    return {TASK: task_mean(losses) if sums is None else sums[0]}


def task_mean(losses: list[Loss]) -> Mean:
    """Their mean, where every example of every view weighs the same."""
    return total(loss.mean for loss in losses)
