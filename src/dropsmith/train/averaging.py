"""Stochastic gradient descent with an average of the weights for evaluation."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

AVERAGE, COUNT = "average", "averaged"


class AveragedSGD(Optimizer):
    """Plain steps, and from `start_averaging` on the mean of the weights after each step.

    A step is θ ← (1 − shrink)(θ − lr·(g + weight_decay·θ)). The mean is that of Merity et al.
    (2018, algorithm 1): 1/(k − T + 1) Σ θᵢ for i from T to k, θ_T the weights at the trigger.
    Unlike in `torch.optim.ASGD`, a step uses the present learning rate and not the previous one,
    and the weights at the trigger are in the mean.

    The whole state is in `state_dict`: the mean as tensors, its count in the groups.

    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> sgd = AveragedSGD([weight], lr=0.5)
    >>> sgd.start_averaging()
    >>> weight.grad = torch.tensor([1.0])
    >>> sgd.step()
    >>> with sgd.averages():
    ...     print(weight.tolist())
    [0.75]
    >>> weight.tolist()
    [0.5]

    Args:
        parameters: the parameters.
        lr: learning rate, at least 0.
        weight_decay: the share of each weight that is added to its gradient.
        shrink: the share of each weight that a step removes, whatever the learning rate.
    """

    def __init__(
        self, parameters: Any, lr: float, weight_decay: float = 0.0, shrink: float = 0.0
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "shrink": shrink, COUNT: 0}
        super().__init__(parameters, defaults)

    @property
    def averaging(self) -> bool:
        """True once averaging has begun."""
        return self.param_groups[0][COUNT] > 0

    @torch.no_grad()
    def start_averaging(self) -> None:
        """Start the mean with the present weights."""
        for group in self.param_groups:
            group[COUNT] = 1
            for weight in group["params"]:
                self.state[weight][AVERAGE] = weight.detach().clone()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - torch overloads it
        """Make one step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    _descend(weight, weight.grad, group)
            if group[COUNT]:
                self._average(group)
        return loss

    def _average(self, group: dict[str, Any]) -> None:
        group[COUNT] += 1
        for weight in group["params"]:
            self.state[weight][AVERAGE].lerp_(weight, 1 / group[COUNT])

    @contextmanager
    def averages(self) -> Iterator[None]:
        """Use the mean as weights in a `with` block; the weights then return bit for bit."""
        if not self.averaging:
            yield
            return
        weights = [weight for group in self.param_groups for weight in group["params"]]
        last = [weight.detach().clone() for weight in weights]
        _assign(weights, [self.state[weight][AVERAGE] for weight in weights])
        try:
            yield
        finally:
            _assign(weights, last)


def _descend(weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
    if group["weight_decay"]:
        gradient = gradient.add(weight, alpha=group["weight_decay"])
    weight.add_(gradient, alpha=-group["lr"])
    if group["shrink"]:
        weight.mul_(1 - group["shrink"])


@torch.no_grad()
def _assign(weights: list[Tensor], values: list[Tensor]) -> None:
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)
