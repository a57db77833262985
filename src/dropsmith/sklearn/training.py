"""The training of an estimator's network: AdamW over shuffled batches, with early stopping."""

import copy
from dataclasses import dataclass, fields, is_dataclass, replace
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dropsmith.consistency import consistent, restore
from dropsmith.errors import TrainingError
from dropsmith.objectives import Objective
from dropsmith.passes import logits_of
from dropsmith.plans import Plan

Kind = Literal["classification", "regression"]


@dataclass(frozen=True, kw_only=True)
class Training:
    """The settings of one fit.

    Args:
        kind: of the labels.
        plan: noise beside the network's own, or None.
        objective: a consistency objective, or None for the task loss of one pass.
        epochs, batch_size, learning_rate, weight_decay: of AdamW's steps.
        patience: epochs without a better validation loss after which training ends; None for none.
        seed: of the order of examples and of all noise.
    """

    kind: Kind
    plan: Plan | None
    objective: Objective | None
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int | None
    seed: int


@dataclass(frozen=True, kw_only=True)
class History:
    """The mean losses of each epoch; validation losses where examples were held out."""

    losses: tuple[float, ...]
    validation_losses: tuple[float, ...]


def fit_network(
    network: nn.Module,
    training: Training,
    examples: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor] | None,
) -> History:
    """Train a network in place; it is left in eval mode, without plan or objective.

    Raises:
        TrainingError: a loss is not finite.
    """
    objective = _of_kind(training.objective, training.kind)
    if training.plan is not None:
        training.plan.install(network, examples[0][:2], seed=training.seed)
    if objective is not None:
        consistent(network, objective, loss=training.kind, seed=training.seed)
    try:
        return _fit(network, training, objective, examples, validation)
    finally:
        if objective is not None:
            restore(network)
        if training.plan is not None:
            training.plan.remove(network)
        network.eval()


def _fit(
    network: nn.Module,
    training: Training,
    objective: Objective | None,
    examples: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor] | None,
) -> History:
    x, y = examples
    generator = torch.Generator().manual_seed(training.seed)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    losses: list[float] = []
    validation_losses: list[float] = []
    best, best_state, worse = inf, None, 0
    for epoch in range(training.epochs):
        network.train()
        total = 0.0
        for rows in torch.randperm(len(x), generator=generator).split(training.batch_size):
            loss = _loss(network, training.kind, objective, x[rows], y[rows])
            if not bool(loss.isfinite()):
                raise TrainingError(
                    f"the loss is {float(loss.detach()):g} in epoch {epoch + 1}\n"
                    "  standardise the columns, or try a lower learning_rate"
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        losses.append(total / len(x))
        if validation is None:
            continue
        validation_losses.append(_validation_loss(network, training.kind, *validation))
        if validation_losses[-1] < best:
            best, worse = validation_losses[-1], 0
            best_state = copy.deepcopy(network.state_dict())
        else:
            worse += 1
        if training.patience is not None and worse >= training.patience:
            break
    if best_state is not None:
        network.load_state_dict(best_state)
    return History(losses=tuple(losses), validation_losses=tuple(validation_losses))


def _loss(
    network: nn.Module, kind: Kind, objective: Objective | None, x: Tensor, y: Tensor
) -> Tensor:
    if objective is not None:
        return network(x, labels=y).loss
    return _task_loss(network(x), kind, y)


def _task_loss(output: Any, kind: Kind, y: Tensor) -> Tensor:
    scores = logits_of(output)
    if kind == "classification":
        return F.cross_entropy(scores, y)
    return F.mse_loss(scores.reshape(y.shape), y)


def _validation_loss(network: nn.Module, kind: Kind, x: Tensor, y: Tensor) -> float:
    network.eval()
    with torch.no_grad():
        return float(_task_loss(network(x), kind, y))


def _of_kind(objective: Objective | None, kind: Kind) -> Objective | None:
    """The objective for labels of this kind, where it has a setting for that and it was not set."""
    if kind == "classification" or not is_dataclass(objective):
        return objective
    names = {field.name: field.default for field in fields(objective)}
    if names.get("kind") != getattr(objective, "kind", None) or "kind" not in names:
        return objective
    return replace(objective, kind=kind)  # pyright: ignore[reportCallIssue]
