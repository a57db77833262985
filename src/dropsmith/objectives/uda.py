"""Unsupervised data augmentation: sharpened targets from rows without a label (Xie et al. 2020)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.instances import check_word
from dropsmith.objectives._confident_targets import ConfidentTargets
from dropsmith.objectives._objective import LossFunction, check_integer, check_number
from dropsmith.objectives._symmetric import wide
from dropsmith.objectives.distances import Distance, kl
from dropsmith.objectives.losses import check_loss
from dropsmith.passes import Views
from dropsmith.terms import Loss

Annealing = Literal["linear", "log", "exp"]


@dataclass(frozen=True, kw_only=True, repr=False)
class UDA(ConfidentTargets):
    """Unsupervised data augmentation (Xie et al. 2020, arXiv 1904.12848).

    For logits z₁ of rows as they are and z₂ of the same rows augmented, `[items, classes]`, with
    the target p = softmax(z₁ / temperature), which is a constant, and q = softmax(z₂):

        loss = CE(z₁, y) + weight × mean over rows without a label of KL(p‖q)

    A row takes part where the greatest probability of softmax(z₁) reaches `confidence`. With
    annealing, a labelled row takes no part in CE at step t where the probability of its label
    exceeds η = a (1 − 1/K) + 1/K of K classes: of s = t / `annealing_steps`, a is s (`linear`),
    1 − exp(−5 s) (`log`) or exp(5 (s − 1)) (`exp`).

    A batch without any confident row has a term of 0 with a count of 0.

    >>> UDA(weight=2)
    UDA(weight=2)
    >>> round(UDA(annealing="linear", annealing_steps=100).annealing_threshold(50, classes=10), 6)
    0.55

    Args:
        weight: the factor of the term, λ; 1 in the paper.
        temperature: the divisor of the scores of the target, above 0; 0.4 in the paper.
        confidence: the least probability of the target's most likely class, in [0, 1]; 0 for all
            rows, 0.8 for CIFAR-10 in the paper.
        average_over: the rows that the term is a mean over: the `confident` ones, or all
            `unlabelled` ones, as in the authors' code for images.
        annealing: the schedule of training-signal annealing, or None.
        annealing_steps: the steps after which it ends.
        term_rows: the rows that the term counts: `unlabelled`, `all` or `labelled`.
        augment: whether view 1 sees the rows augmented, where the task has an augmentation; else
            the two views differ by their noise alone.
    """

    weight: float = 1.0
    temperature: float = 0.4
    annealing: Annealing | None = None
    annealing_steps: int = 0

    def __post_init__(self) -> None:
        check_number(self, "weight")
        check_number(self, "temperature")
        if self.temperature == 0:
            raise ObjectiveError(
                "UDA: temperature must be above 0, got 0\n"
                "  for targets of one class use FixMatch(weight=1, confidence=0.95)"
            )
        check_integer(self, "annealing_steps", minimum=0)
        if self.annealing is not None:
            check_word("annealing", self.annealing, get_args(Annealing), ObjectiveError)
        if (self.annealing is None) != (self.annealing_steps == 0):
            raise ObjectiveError(
                "UDA: annealing and annealing_steps belong together, got "
                f"annealing={self.annealing!r} and annealing_steps={self.annealing_steps}\n"
                '  write annealing="linear", annealing_steps=10_000, or leave both out'
            )
        super().__post_init__()

    @property
    def _weight(self) -> float:
        return self.weight

    @property
    def _distance(self) -> Distance:
        return partial(_sharpened_kl, self.temperature)

    @property
    def depends_on_step(self) -> bool:
        return super().depends_on_step or self.annealing is not None

    def annealing_threshold(self, step: int, classes: int) -> float:
        """The probability η of its label above which a labelled row takes no part at a step."""
        if self.annealing is None:
            return 1.0
        share = min(1.0, step / self.annealing_steps)
        level = {
            "linear": share,
            "log": 1 - math.exp(-5 * share),
            "exp": math.exp(5 * (share - 1)),
        }[self.annealing]
        return level * (1 - 1 / classes) + 1 / classes

    def _labelled_loss(self, views: Views, loss: LossFunction, view_loss: Loss) -> Loss:
        """The loss of the labelled rows whose labels are not predicted too well already."""
        if self.annealing is None:
            return view_loss
        if views.step is None:
            raise ObjectiveError(
                "UDA: annealing depends on the training step, and these views have none\n"
                "  give it: dataclasses.replace(views, step=step)"
            )
        batch, scores = views.batches[0], views.logits[0].detach()
        labels = batch.get("labels") if isinstance(batch, Mapping) else None
        if (
            not isinstance(labels, Tensor)
            or labels.is_floating_point()
            or labels.shape != scores.shape[:-1]
        ):
            raise ObjectiveError(
                "UDA: annealing needs the class of each row in batch['labels'], got "
                f"{_describe(labels)} beside logits of shape {tuple(scores.shape)}\n"
                "  leave out annealing, or give labels of integers, -100 for a row without"
            )
        threshold = self.annealing_threshold(views.step, scores.shape[-1])
        log_p = scores.log_softmax(-1, dtype=wide(scores, scores))
        label = labels.long().clamp(min=0).unsqueeze(-1)
        is_known = log_p.gather(-1, label).squeeze(-1).exp() > threshold
        rest: Mapping[str, Any] = {**batch, "labels": labels.masked_fill(is_known, -100)}
        return check_loss(loss(views.outputs[0], rest))


def _sharpened_kl(temperature: float, target: Tensor, scores: Tensor) -> Tensor:
    return kl(target.to(wide(target, scores)) / temperature, scores)


def _describe(labels: object) -> str:
    if isinstance(labels, Tensor):
        return f"labels of {labels.dtype} and shape {tuple(labels.shape)}"
    return "no labels"
