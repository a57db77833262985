"""The noise state of a model, where it has one."""

from typing import Any

from torch import nn

from dropsmith.errors import NoiseError
from dropsmith.sites.noise import ATTRIBUTE, Noise


def noise_of(model: nn.Module) -> Noise:
    """The noise state of a model, also through a wrapper such as DistributedDataParallel.

    >>> noise_of(nn.Linear(2, 2))
    Traceback (most recent call last):
    dropsmith.errors.NoiseError: this model has no noise of ours: install a plan first
    """
    found = find_noise(model)
    if found is None:
        raise NoiseError("this model has no noise of ours: install a plan first")
    return found


def find_noise(model: nn.Module) -> Noise | None:
    """Like `noise_of`, or None."""
    for module in model.modules():
        found: Any = module.__dict__.get(ATTRIBUTE)
        if found is not None:
            return found
    return None


def step(model: nn.Module, number: int) -> None:
    """Tell a model that training forward `number` was the last, so that noise goes on from there.

    A resumed run whose trainer carries no step of ours calls this once before it goes on.
    """
    noise_of(model).step = number
