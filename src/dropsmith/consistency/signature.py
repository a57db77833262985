"""The signature of a model's forward, read before trainers put their own functions in its place."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from dropsmith.noise import evaluating, state_unchanged

ITEMS = "num_items_in_batch"
"""The argument by which trainers give the number of items that they average over."""


@dataclass(frozen=True)
class Signature:
    """The arguments that a model's forward takes.

    Args:
        names: of its arguments by position.
        labels: whether it takes labels; None where it takes any name, and has to be asked.
        items: whether it takes the number of items.
    """

    names: tuple[str, ...]
    labels: bool | None
    items: bool

    @classmethod
    def of(cls, model: nn.Module) -> "Signature":
        """Read once: trainers put functions of their own in place of `forward` later."""
        parameters = inspect.signature(model.forward).parameters.values()
        any_name = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = tuple(p.name for p in parameters if p.kind in kinds)
        all_names = {p.name for p in parameters}
        labels = "labels" in all_names or (None if any_name else False)
        return cls(names, labels, any_name or ITEMS in all_names)


@lru_cache(maxsize=64)
def position_names(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """The names of so many arguments given by position; those of `*args` are numbered.

    >>> position_names(("x",), 3)
    ('x', 'argument 1', 'argument 2')
    """
    rest = (f"argument {number}" for number in range(len(names), count))
    return (*names[:count], *rest)


def takes_labels(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Run a forward that takes any name, without noise, and say whether it accepts labels."""
    arguments = {name: value for name, value in kwargs.items() if name != ITEMS}
    with state_unchanged(model), evaluating(model), torch.no_grad():
        try:
            model(*args, **arguments)
        except TypeError as error:
            if "unexpected keyword argument 'labels'" in str(error):
                return False
            raise
    return True
