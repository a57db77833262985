"""Checks that a checkpoint fits the model and the optimiser of a run."""

from collections.abc import Mapping, Sequence
from inspect import signature
from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dropsmith.errors import CheckpointError, excerpt
from dropsmith.files import count_mismatch, tensor_mismatch
from dropsmith.train.averaging import COUNT, AveragedSGD

_CHANGING = ("lr", COUNT)
"""Settings that change during a run; all others follow from its configuration."""


def check_weights(room: str, stored: Mapping[str, Tensor], current: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` unless tensors have the names, shapes and dtypes of a model's.

    Args:
        room: their prefix in the file.
        stored: the tensors of the file.
        current: the tensors of the model.
    """
    for name, tensor in current.items():
        if name not in stored:
            raise CheckpointError(f"tensor {room}/{name} is missing")
        _check_tensor(f"{room}/{name}", stored[name], tensor)
    for name in stored.keys() - current.keys():
        raise CheckpointError(f"tensor {room}/{name} is not one of the model's")


def check_curve(curve: Sequence[Mapping[str, float]]) -> None:
    """Raise `CheckpointError` unless every row has its step."""
    for index, row in enumerate(curve):
        if "step" not in row:
            raise CheckpointError(f"field curve.{index}.step is missing")


def checked_groups(groups: Sequence[Mapping[str, Any]], optimizer: Optimizer) -> list[Any]:
    """The settings of parameter groups, if they fit the optimiser of this run."""
    current = optimizer.state_dict()["param_groups"]
    if len(groups) != len(current):
        raise CheckpointError(
            f"field groups should have {len(current)} items, but has {len(groups)}"
        )
    pairs = list(zip(groups, current, strict=True))
    for index, (group, settings) in enumerate(pairs):
        for name, value in group.items():
            place = f"field groups.{index}.{name}"
            if name not in settings:
                raise CheckpointError(f"{place} is unknown")
            if name in _CHANGING:
                _check_changing(place, value, settings[name])
            elif repr(_as_json(value)) != repr(_as_json(settings[name])):
                raise CheckpointError(
                    f"{place} should be {excerpt(settings[name])}, but is {excerpt(value)}"
                )
    # Settings that another version of torch lacked have the values of this one.
    return [{**settings, **group} for group, settings in pairs]


def check_optimizer(
    tensors: Mapping[str, Tensor], groups: Sequence[Mapping[str, Any]], optimizer: Optimizer
) -> None:
    """Raise `CheckpointError` unless an optimiser's tensors are of its parameters and its kind.

    A parameter has either all tensors or, before its first gradient, none.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    averages = isinstance(optimizer, AveragedSGD) and any(group[COUNT] for group in groups)
    expected = _tensors_of_one(optimizer, averages)
    left = dict(tensors)
    for index, weight in enumerate(weights):
        part = {name: left.pop(f"{index}/{name}", None) for name in expected}
        for name, example in expected.items():
            tensor, place = part[name], f"optimizer/{index}/{name}"
            if tensor is not None:
                _check_tensor(place, tensor, weight if example.dim() else example)
                _check_number(place, tensor)
            elif averages or any(other is not None for other in part.values()):
                raise CheckpointError(f"tensor {place} is missing")
    for name in left:
        raise CheckpointError(f"tensor optimizer/{name} is not one of the optimiser's")


def check_generators(stored: Mapping[str, Tensor], current: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` unless the states of generators are valid."""
    if "cpu" not in stored:
        raise CheckpointError("tensor generator/cpu is missing")
    for name, state in stored.items():
        if name not in ("cpu", "cuda"):
            raise CheckpointError(f"tensor generator/{name} belongs to no generator of torch")
        if name in current:
            _check_tensor(f"generator/{name}", state, current[name])
            try:
                torch.Generator(name).set_state(state)
            except RuntimeError as error:
                reason = str(error).partition("\n")[0]
                raise CheckpointError(
                    f"tensor generator/{name} is no such state: {reason}"
                ) from None


def _tensors_of_one(optimizer: Optimizer, averages: bool) -> dict[str, Tensor]:
    """The tensors of such an optimiser for one weight after a step."""
    settings = signature(type(optimizer)).parameters.keys() & optimizer.defaults.keys()
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.zeros(2)
    small = type(optimizer)([weight], **{name: optimizer.defaults[name] for name in settings})
    if averages and isinstance(small, AveragedSGD):
        small.start_averaging()
    small.step()
    return {name: value for name, value in small.state[weight].items() if value is not None}


def _check_tensor(place: str, tensor: Tensor, like: Tensor) -> None:
    if fault := tensor_mismatch(tensor, like):
        raise CheckpointError(f"tensor {place} {fault}")


def _check_number(place: str, tensor: Tensor) -> None:
    if fault := count_mismatch(tensor):
        raise CheckpointError(f"tensor {place} {fault}")


def _check_changing(place: str, value: Any, current: Any) -> None:
    whole = isinstance(current, int) and place.endswith(COUNT)
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < inf:
        kind = "whole number" if whole else "number"
        raise CheckpointError(f"{place} should be a {kind} of 0 or more, but is {excerpt(value)}")


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
