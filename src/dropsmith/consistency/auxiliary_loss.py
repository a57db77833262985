"""The part of a model's own loss that is not its task's, such as the balance of experts."""

from collections.abc import Mapping
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from dropsmith.consistency.task_loss import LabelledLoss
from dropsmith.errors import ObjectiveError
from dropsmith.passes import Views
from dropsmith.terms import Mean, total

AUXILIARY = "auxiliary"
"""The name of its term."""


def own_loss_of(output: Any) -> Tensor | None:
    """The loss that a model has computed itself; None where there is none."""
    loss = output.get("loss") if isinstance(output, Mapping) else None
    if loss is None and isinstance(output, tuple) and output:
        loss = output[0]
    return loss if isinstance(loss, Tensor) and loss.ndim == 0 else None


def has_auxiliary(output: Any) -> bool:
    """Say whether an output names a further loss with a gradient, such as `aux_loss`."""
    return isinstance(output, Mapping) and any(
        isinstance(name, str)
        and name != "loss"
        and name.endswith("loss")
        and isinstance(value, Tensor)
        and value.numel() == 1
        and value.requires_grad
        for name, value in output.items()
    )


def auxiliary_term(views: Views, loss: LabelledLoss, together: bool) -> Mean | None:
    """The model's own loss minus its task loss, with its gradient, averaged over its forwards.

    None where the model's own loss is not there, or nothing was counted in it.

    Args:
        views: with the labels that the model was given.
        loss: of the task; label smoothing and class weights are no part of the model's own.
        together: whether one forward made all views.
    """
    plain = loss.plain()
    pairs = list(zip(views.outputs, views.batches, strict=True))
    forwards = [pairs] if together else [[pair] for pair in pairs]
    parts = []
    for forward in forwards:
        model_loss = own_loss_of(forward[0][0])
        if model_loss is None or not bool(model_loss.isfinite()):
            return None
        task_loss = total(plain(*pair).mean for pair in forward).value
        parts.append(model_loss.float() - task_loss.float())
    return Mean(torch.stack(parts).sum(), float(len(parts)))


def check_own_loss(views: Views, loss: LabelledLoss, together: bool) -> bool:
    """Compare the model's own loss with its task loss; say whether it was there to compare.

    Raises:
        ObjectiveError: it is another one, by more than rounding, and names no further loss.
    """
    model_loss = own_loss_of(views.outputs[0])
    if model_loss is None or not bool(model_loss.isfinite()):
        return False
    model_loss = model_loss.detach()
    # Models that find spans average starts and ends each by themselves.
    if loss.problem == "spans" or has_auxiliary(views.outputs[0]):
        return True
    loss = loss.plain()
    # The loss of one forward is that of all its views, whichever of them carry it.
    pairs = list(zip(views.outputs, views.batches, strict=True))[: None if together else 1]
    with torch.no_grad():
        mean = total(loss(output, batch).mean for output, batch in pairs)
    tolerance = _rounding(model_loss.dtype, views.logits[0].dtype, float(mean.count))
    if torch.isclose(model_loss.float(), mean.value.float(), rtol=tolerance, atol=tolerance):
        return True
    raise ObjectiveError(
        f"this model computes a loss of {float(model_loss):.6g}, the loss inferred from its class "
        f"is {float(mean.value):.6g}\n"
        "  say which loss to train with: consistent(model, objective, loss=function)"
    )


def _rounding(loss: torch.dtype, scores: torch.dtype, items: float) -> float:
    """The relative tolerance between two ways to add up the same losses.

    A mean is as exact as its type. Losses that were rounded one by one, to the type of the scores,
    err independently: their mean errs less, the more there are.
    """
    sums, single = torch.finfo(loss).eps, torch.finfo(scores).eps
    wide = sums < 1e-5
    return (64 if wide else 2) * sums + 2 * single / sqrt(max(items, 1.0))
