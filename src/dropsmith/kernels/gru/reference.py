"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, compute_activation
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, blend, step_mask


def gru(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    noise: StateNoise = NO_NOISE,
    activation: Activation = compute_activation,
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.gru.gru`."""
    matrices, biases = weight.unflatten(0, (3, -1)), bias.unflatten(0, (3, -1))
    states = []
    for step, score in enumerate(gates):
        hidden_inputs = hidden[:, None].expand_as(score)
        if noise.recurrent is not None:
            hidden_inputs = hidden_inputs * step_mask(noise.recurrent, step)
        recurrent = torch.einsum("bgi,goi->bgo", hidden_inputs, matrices) + biases
        sigmoids = activation("sigmoid", score[:, :2] + recurrent[:, :2], step, slice(0, 2))
        reset, update = sigmoids.unbind(1)
        candidate = score[:, 2] + reset * recurrent[:, 2]
        new = activation("tanh", candidate[:, None], step, slice(2, 3))[:, 0]
        proposal = (1 - update) * new + update * hidden
        hidden = blend(hidden, proposal, noise.hidden_update, step)
        states.append(hidden)
    return torch.stack(states), hidden
