"""Probing: runs of a model that leave it as it was."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parameter import is_lazy

from dropsmith.noise.clock import CALL, STEP
from dropsmith.noise.lookup import all_noise
from dropsmith.noise.random_states import RandomStates
from dropsmith.noise.turns import only_this_thread


@contextmanager
def state_unchanged(model: nn.Module) -> Iterator[None]:
    """Put modes, buffers, random generators and the clock of our noise back as they were.

    The generators are those of torch on every device, of NumPy and of Python. A buffer that a
    module has given a new tensor has its own again. Meanwhile
    other threads may call the model only where it evaluates.
    """
    modes = {module: module.training for module in model.modules()}
    buffers = [buffer for module in model.modules() for buffer in _buffers_of(module)]
    states = RandomStates.now()
    try:
        with ExitStack() as stack:
            stack.enter_context(only_this_thread(model, modes))
            for noise in all_noise(model):
                stack.enter_context(noise.probing())
            yield
    finally:
        states.restore()
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for module, name, buffer, before in buffers:
                _put_back(module, name, buffer, before)


Buffer = tuple[nn.Module, str, Tensor | None, Tensor | None]
"""A module, the name of a buffer, the tensor that it is, and a copy of what it holds."""


def _buffers_of(module: nn.Module) -> list[Buffer]:
    # A lazy layer that takes its size from the first input keeps it, as after any call.
    return [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for name, buffer in module._buffers.items()
        if name not in (STEP, CALL) and not (buffer is not None and is_lazy(buffer))
    ]


def _put_back(module: nn.Module, name: str, buffer: Tensor | None, before: Tensor | None) -> None:
    if name in module._buffers:
        module._buffers[name] = buffer
    if buffer is not None and before is not None and not _equal(buffer, before):
        buffer.copy_(before)


def _equal(buffer: Tensor, before: Tensor) -> bool:
    # A buffer that was expanded cannot be written to, and no module has written to it.
    return buffer.layout == torch.strided and torch.equal(buffer, before)


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
                vars(module)[name] = _restore(value, content)


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


def _restore(value: Any, content: Any) -> Any:
    """Make the very object hold again what it held, and return it."""
    if isinstance(value, Tensor):
        version, before = content
        if value._version != version:
            with torch.no_grad():
                value.copy_(before)
    elif isinstance(value, dict):
        entries = {key: _restore(*part) for key, part in content.items()}
        value.clear()
        value.update(entries)
    elif isinstance(value, list):
        value[:] = [_restore(*part) for part in content]
    elif isinstance(value, tuple):
        for part in content:
            _restore(*part)
    return value
