"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, activated
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, at, mixed


def elman(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    nonlinearity: str = "tanh",
    activation: Activation = activated,
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.elman.elman`."""
    states = []
    for step, score in enumerate(gates[:, :, 0]):
        seen = hidden
        if noise.recurrent is not None:
            seen = seen * at(noise.recurrent, step)[:, 0]
        score = (score + seen @ weight.t())[:, None]
        new = activation(nonlinearity, score, step, slice(0, 1))[:, 0]
        hidden = mixed(hidden, new, noise.hidden_update, step)
        states.append(hidden)
    return torch.stack(states), hidden
