"""A model that is run to be looked at, and is afterwards as it was."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from dropsmith.noise.clock import CALL, STEP
from dropsmith.noise.lookup import find_noise
from dropsmith.noise.random_states import RandomStates


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put modes, buffers, random generators and the clock of our noise back as they were.

    The generators are those of torch on every device, of NumPy and of Python. A buffer that a
    module has given a new tensor has its own again.
    """
    noise = find_noise(model)
    modes = {module: module.training for module in model.modules()}
    buffers = [one for module in model.modules() for one in _buffers_of(module)]
    states = RandomStates.now()
    try:
        with noise.probing() if noise is not None else nullcontext():
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
