"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, compute_activation
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, blend, step_mask


def elman(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    nonlinearity: str = "tanh",
    activation: Activation = compute_activation,
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.elman.elman`."""
    states = []
    for step, score in enumerate(gates[:, :, 0]):
        hidden_inputs = hidden
        if noise.recurrent is not None:
            hidden_inputs = hidden_inputs * step_mask(noise.recurrent, step)[:, 0]
        score = (score + hidden_inputs @ weight.t())[:, None]
        new = activation(nonlinearity, score, step, slice(0, 1))[:, 0]
        hidden = blend(hidden, new, noise.hidden_update, step)
        states.append(hidden)
    return torch.stack(states), hidden
