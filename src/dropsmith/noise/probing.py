"""A model that is run to be looked at, and is afterwards as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from dropsmith.batches import copied, tensors_in
from dropsmith.noise.lookup import find_noise


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put modes, buffers, all random generators and the step of our noise back as they were."""
    noise = find_noise(model)
    modes = {module: module.training for module in model.modules()}
    buffers = _buffers(model)
    devices = {p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}
    states = random.getstate(), np.random.get_state()
    try:
        probing = noise.probing() if noise is not None else nullcontext()
        with torch.random.fork_rng(devices=sorted(devices)), probing:
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for held, name, buffer, before in buffers:
                held[name] = buffer  # a module may have put another one there
                buffer.copy_(before)


@contextmanager
def attributes_unchanged(model: nn.Module) -> Iterator[None]:
    """Put tensors back that modules keep in attributes, such as a state between two calls."""
    before = [(module, _state(module)) for module in model.modules()]
    try:
        yield
    finally:
        for module, state in before:
            for name in _state(module):
                if name not in state:
                    del vars(module)[name]
            vars(module).update(state)


def _buffers(model: nn.Module) -> list[tuple[dict[str, Any], str, Tensor, Tensor]]:
    return [
        (module._buffers, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and not is_lazy(buffer)
    ]


def _state(module: nn.Module) -> dict[str, Any]:
    """Attributes that hold tensors, or that may be waiting for one."""
    return {
        name: copied(value)
        for name, value in vars(module).items()
        if not name.startswith("_") and _is_state(value)
    }


def _is_state(value: Any) -> bool:
    plain = isinstance(value, Tensor | tuple | list | dict)
    return value is None or (
        plain and not isinstance(value, nn.Parameter) and bool(tensors_in(value))
    )
