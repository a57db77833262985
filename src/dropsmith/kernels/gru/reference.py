"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, activated
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, at, mixed


def gru(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    noise: StateNoise = NO_NOISE,
    activation: Activation = activated,
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.gru.gru`."""
    matrices, biases = weight.unflatten(0, (3, -1)), bias.unflatten(0, (3, -1))
    states = []
    for step, score in enumerate(gates):
        seen = hidden[:, None].expand_as(score)
        if noise.recurrent is not None:
            seen = seen * at(noise.recurrent, step)
        back = torch.einsum("bgi,goi->bgo", seen, matrices) + biases
        both = activation("sigmoid", score[:, :2] + back[:, :2], step, slice(0, 2))
        reset, update = both.unbind(1)
        candidate = score[:, 2] + reset * back[:, 2]
        new = activation("tanh", candidate[:, None], step, slice(2, 3))[:, 0]
        made = (1 - update) * new + update * hidden
        hidden = mixed(hidden, made, noise.hidden_update, step)
        states.append(hidden)
    return torch.stack(states), hidden
