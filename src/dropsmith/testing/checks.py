"""Checks of values, means and memory, with messages that name the fault."""

import json
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields, replace
from math import sqrt
from typing import Any

import torch
from torch import Tensor


def check_frozen(value: Any) -> None:
    """Assert that a value cannot be changed, hashes, and equals its copies.

    >>> from dropsmith.patterns import Bernoulli
    >>> check_frozen(Bernoulli(rate=0.1))
    """
    for field in fields(value):
        try:
            setattr(value, field.name, getattr(value, field.name))
        except FrozenInstanceError:
            continue
        raise AssertionError(f"{value!r} allows to set {field.name!r}: use @dataclass(frozen=True)")
    for copy in (replace(value), deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert copy == value, f"a copy of {value!r} differs from it: {copy!r}"
        assert hash(copy) == hash(value), f"equal values of {type(value).__name__} hash differently"


def check_json(value: Any, from_json: Callable[[Any], Any]) -> None:
    """Assert that `from_json` reads `value.to_json()` from a file as an equal value.

    >>> from dropsmith.patterns import Bernoulli, from_json
    >>> check_json(Bernoulli(rate=0.1), from_json)
    """
    text = json.dumps(value.to_json(), allow_nan=False)
    copy = from_json(json.loads(text))
    assert copy == value, f"the JSON of {value!r} was read as {copy!r}\n  JSON: {text}"


def check_repr(value: Any, names: Mapping[str, Any]) -> None:
    """Assert that the `repr` of a value, with `names` imported, evaluates to an equal value.

    >>> from dropsmith.patterns import Bernoulli
    >>> check_repr(Bernoulli(rate=0.1), {"Bernoulli": Bernoulli})
    """
    copy = eval(repr(value), dict(names))
    assert copy == value, f"the repr {value!r} evaluates to another value, {copy!r}"


_FLOOR = 1e-5
"""The rounding of a float32 mean, for draws with equal means."""


def check_mean(values: Sequence[Tensor], want: float, quantity: str) -> None:
    """Assert that independent numbers have the mean `want`, within five standard errors.

    >>> check_mean([torch.tensor(number) for number in (0.9, 1.1, 1.0)], 1.0, "the mean")
    """
    draws = torch.stack(list(values)).double()
    bound = 5 * draws.std().item() / sqrt(len(draws)) + _FLOOR
    mean = draws.mean().item()
    assert abs(mean - want) <= bound, (
        f"{quantity} is {mean:.5f} over {len(draws)} draws, not {want} ± {bound:.5f}"
    )


@contextmanager
def record_saved_tensors() -> Iterator[list[Tensor]]:
    """A list that receives each tensor that operations in the block save for backward.

    >>> x = torch.ones(3, requires_grad=True)
    >>> with record_saved_tensors() as kept:
    ...     y = x.exp() + 1
    >>> [tuple(tensor.shape) for tensor in kept]
    [(3,)]
    """
    tensors: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        tensors.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield tensors
