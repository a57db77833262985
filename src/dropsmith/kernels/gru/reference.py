"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, at, mixed


def gru(
    gates: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.gru.gru`."""
    matrices, biases = weight.unflatten(0, (3, -1)), bias.unflatten(0, (3, -1))
    states = []
    for step, score in enumerate(gates):
        seen = hidden[:, None].expand_as(score)
        if noise.recurrent is not None:
            seen = seen * at(noise.recurrent, step)
        back = torch.einsum("bgi,goi->bgo", seen, matrices) + biases
        reset, update = (score[:, :2] + back[:, :2]).sigmoid().unbind(1)
        new = (score[:, 2] + reset * back[:, 2]).tanh()
        made = (1 - update) * new + update * hidden
        hidden = mixed(hidden, made, noise.hidden_update, step)
        states.append(hidden)
    return torch.stack(states), hidden
