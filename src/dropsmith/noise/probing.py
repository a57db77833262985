"""A model that is run to be looked at, and is afterwards as it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

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
    """Put back what modules keep in attributes, such as a state between two calls, or a log."""
    # A lazy module's first call changes its attributes for good.
    modules = [module for module in model.modules() if not isinstance(module, LazyModuleMixin)]
    before = [(module, set(vars(module)), _attributes(module)) for module in modules]
    try:
        yield
    finally:
        for module, names, attributes in before:
            for name in _attributes(module).keys() - names:
                del vars(module)[name]
            for name, (value, content) in attributes.items():
                vars(module)[name] = _restored(value, content)


def _buffers(model: nn.Module) -> list[tuple[dict[str, Any], str, Tensor, Tensor]]:
    return [
        (module._buffers, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None and not is_lazy(buffer)
    ]


def _attributes(module: nn.Module) -> dict[str, tuple[Any, Any]]:
    """Attributes that a forward may use as its memory: each itself, and what it holds."""
    return {
        name: (value, _content(value))
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and isinstance(value, _MEMORY)
    }


_MEMORY = (Tensor, list, dict, tuple, int, float, type(None))


def _content(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: (part, _content(part)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [(part, _content(part)) for part in value]
    return (value._version, value.detach().clone()) if isinstance(value, Tensor) else None


def _restored(value: Any, content: Any) -> Any:
    """The very object of before, holding again what it held."""
    if isinstance(value, Tensor):
        version, before = content
        if value._version != version:
            with torch.no_grad():
                value.copy_(before)
    elif isinstance(value, dict):
        held = {key: _restored(*part) for key, part in content.items()}
        value.clear()
        value.update(held)
    elif isinstance(value, list):
        value[:] = [_restored(*part) for part in content]
    elif isinstance(value, tuple):
        for part in content:
            _restored(*part)
    return value
