"""Activation regularisation of recurrent models, added to any other objective."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dropsmith.activations import Reads
from dropsmith.errors import ObjectiveError
from dropsmith.objectives._objective import LossFunction, Objective, check_number
from dropsmith.passes import Views
from dropsmith.terms import Loss, Mean, Terms

ACTIVATION = "activation"
TEMPORAL = "temporal"


@dataclass(frozen=True, kw_only=True, repr=False)
class ActivationNorm(Objective):
    """Activation regularisation of the last recurrent layer, added to another objective.

    With the layer's output h, `[batch, time, unit]`, and m ⊙ h the same after dropout:

        loss = loss of `of` + alpha × mean of (m ⊙ h)² + beta × mean of (h[t + 1] − h[t])²

    The first is AR, the second TAR of AWD-LSTM (Merity, McCann & Socher 2017; Merity et al. 2018);
    means are over rows, steps and units. Of several views the first alone is regularised, as in the
    code of Fraternal Dropout.

    The model returns `.dropped` and `.raw`, each `[batch, time, unit]`, beside its logits, as
    `models.RecurrentLM` does. Steps whose loss is not counted are not regularised either.

    >>> from dropsmith.objectives import Fraternal
    >>> ActivationNorm(of=Fraternal(kappa=0.1))
    ActivationNorm(of=Fraternal(kappa=0.1))

    Args:
        of: the objective it is added to.
        alpha: the weight of AR.
        beta: the weight of TAR.
    """

    of: Objective
    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        from dropsmith.objectives._reading import check_objective  # which knows all objectives

        check_objective(self.of, "ActivationNorm(of=...) takes the objective it is added to")
        check_number(self, "alpha")
        check_number(self, "beta")

    def views_at(self, step: int) -> int:
        return self.of.views_at(step)

    @property
    def noise_free(self) -> tuple[int, ...]:
        return self.of.noise_free

    @property
    def batch_fraction(self) -> float:
        return self.of.batch_fraction

    @property
    def depends_on_step(self) -> bool:
        return self.of.depends_on_step

    @property
    def reads_unlabelled(self) -> bool:
        return self.of.reads_unlabelled

    @property
    def augment(self) -> bool:
        return self.of.augment

    @property
    def reads(self) -> Reads | None:
        return self.of.reads

    def terms(self, views: Views, loss: LossFunction) -> Terms:
        masks: dict[int, Tensor | None] = {}

        def remembering(output: Any, batch: Any) -> Loss:
            result = loss(output, batch)
            masks.setdefault(id(output), result.mask)
            return result

        terms = self.of.terms(views, remembering)
        first = views.outputs[0]
        mask = masks[id(first)]
        terms[ACTIVATION] = _norm(*_select_states(first, "dropped", mask))
        terms[TEMPORAL] = _change(*_select_states(first, "raw", mask))
        return terms

    def total(self, terms: Terms, step: int) -> Tensor:
        regular = self.alpha * terms[ACTIVATION].value + self.beta * terms[TEMPORAL].value
        return self.of.total(terms, step) + regular

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"of": self.of.to_json()}


def _norm(states: Tensor, mask: Tensor | None) -> Mean:
    return Mean.of(states.square(), mask)


def _change(states: Tensor, mask: Tensor | None) -> Mean:
    change = states[:, 1:] - states[:, :-1]
    return Mean.of(change.square(), None if mask is None else mask[:, 1:] & mask[:, :-1])


def _select_states(output: Any, name: str, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The states of a view, widened, and a mask of those that count; the others are 0."""
    states = getattr(output, name, None)
    if not isinstance(states, Tensor) or states.ndim != 3:
        raise ObjectiveError(
            f"ActivationNorm needs .{name} [batch, time, unit] in what the model returns, a "
            f"{type(output).__name__}\n  return it beside the logits, as models.RecurrentLM does"
        )
    states = states.to(torch.promote_types(states.dtype, torch.float32))
    if mask is None:
        return states, None
    if mask.shape != states.shape[:2]:
        raise ObjectiveError(
            f"the loss counts items of shape {tuple(mask.shape)}, but .{name} has rows and steps "
            f"{tuple(states.shape[:2])}\n  ActivationNorm is for a loss on every step"
        )
    unit_mask = mask.unsqueeze(-1).expand_as(states)
    # Not-a-number in padding would reach other gradients through the squares.
    return torch.where(unit_mask, states, 0), unit_mask
