"""The network of an estimator: the user's module, or layers of linear units with dropout."""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from torch import nn

from dropsmith.errors import ModelError
from dropsmith.instances import describe

Module = nn.Module | Callable[[int, int], nn.Module] | None
"""A module, a function of the numbers of features and outputs that makes one, or None."""

USUAL_RATE = 0.2
"""The dropout rate of the default network where there is no plan."""


def network_of(
    module: Any, hidden: Sequence[int], rate: float | None, features: int, outputs: int
) -> nn.Module:
    """A new network: a copy of a module, what a function makes, or the default one.

    Args:
        module: see `Module`.
        hidden: units of each hidden layer of the default network.
        rate: its dropout rate after each of them.
        features, outputs: the number of columns, and of scores.

    Raises:
        ModelError: `module` is none of these, or `rate` is given beside a module.
    """
    if module is None:
        return _default(hidden, USUAL_RATE if rate is None else rate, features, outputs)
    if rate is not None:
        raise ModelError(
            f"rate={rate!r} is the dropout rate of the default network, and a module was given\n"
            "  put nn.Dropout into the module, or give plan="
        )
    if isinstance(module, nn.Module):
        return copy.deepcopy(module)
    network = module(features, outputs) if callable(module) else None
    if not isinstance(network, nn.Module):
        made = module if network is None else network
        raise ModelError(
            "module is a torch.nn.Module, or makes one of the numbers of features and outputs, "
            f"but {describe(made)} was given"
        )
    return network


def _default(hidden: Sequence[int], rate: float, features: int, outputs: int) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in pairwise((features, *hidden)):
        layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(rate)]
    return nn.Sequential(*layers, nn.Linear((features, *hidden)[-1], outputs))
