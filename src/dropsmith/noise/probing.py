"""A model that is run to be looked at, and is afterwards as it was."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn

from dropsmith.noise.lookup import find_noise


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put modes, buffers, torch's generators and the step of our noise back as they were."""
    noise = find_noise(model)
    modes = {module: module.training for module in model.modules()}
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}
    try:
        probing = noise.probing() if noise is not None else nullcontext()
        with torch.random.fork_rng(devices=sorted(devices)), probing:
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
