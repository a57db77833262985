"""Optimisers of torch from the description in a budget."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim import Optimizer

from dropsmith.tasks import Budget, optimisers
from dropsmith.train.averaging import AveragedSGD


def optimizer_of(model: nn.Module, budget: Budget) -> Optimizer:
    """The optimiser of a budget, for a model."""
    weights, kind = list(model.parameters()), budget.optimiser
    rate, decay = budget.learning_rate, budget.weight_decay
    match kind:
        case optimisers.SGD(momentum=momentum) if momentum:
            settings = {"momentum": momentum, "nesterov": kind.ahead}
            return torch.optim.SGD(weights, lr=rate, weight_decay=decay, **settings)
        case optimisers.SGD() | optimisers.TriggeredASGD() | optimisers.ASGD():
            optimizer = AveragedSGD(weights, lr=rate, weight_decay=decay, shrink=kind.shrink)
            if isinstance(kind, optimisers.ASGD):
                optimizer.start_averaging()
            return optimizer
        case optimisers.Adam():
            return torch.optim.Adam(weights, lr=rate, weight_decay=decay)
        case optimisers.AdamW():
            # The fused kernel, if torch has one, saves about a tenth of a small model's time.
            fused = all(weight.device.type in ("cpu", "cuda") for weight in weights)
            settings = {"betas": (kind.first, kind.second), "eps": kind.least}
            return torch.optim.AdamW(weights, lr=rate, weight_decay=decay, fused=fused, **settings)


@contextmanager
def evaluation_weights(optimizer: Optimizer) -> Iterator[None]:
    """Use the average of the weights in a `with` block, once averaging has begun."""
    if not isinstance(optimizer, AveragedSGD):
        yield
        return
    with optimizer.averages():
        yield


def after_evaluation(optimizer: Optimizer, budget: Budget, losses: Sequence[float]) -> None:
    """Start averaging if the budget's trigger says so.

    Args:
        optimizer: from `optimizer_of`.
        budget: of the run.
        losses: the validation loss of every evaluation so far.
    """
    if not (
        isinstance(optimizer, AveragedSGD)
        and isinstance(budget.optimiser, optimisers.TriggeredASGD)
    ):
        return
    if not optimizer.averaging and budget.optimiser.trigger(losses) is not None:
        optimizer.start_averaging()
