"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, compute_activation
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, blend, step_mask


def lstm(
    gates: Tensor,
    hidden: Tensor,
    cell: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    activation: Activation = compute_activation,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `dropsmith.kernels.lstm.lstm`."""
    matrices = weight.unflatten(0, (4, -1))
    states = []
    for step, score in enumerate(gates):
        hidden_inputs = hidden[:, None].expand_as(score)
        if noise.recurrent is not None:
            hidden_inputs = hidden_inputs * step_mask(noise.recurrent, step)
        score = score + torch.einsum("bgi,goi->bgo", hidden_inputs, matrices)
        enter, forget = activation("sigmoid", score[:, :2], step, slice(0, 2)).unbind(1)
        new = activation("tanh", score[:, 2:3], step, slice(2, 3))[:, 0]
        leave = activation("sigmoid", score[:, 3:], step, slice(3, 4))[:, 0]
        proposal = forget * cell + enter * new
        hidden = blend(hidden, leave * proposal.tanh(), noise.hidden_update, step)
        cell = blend(cell, proposal, noise.cell_update, step)
        states.append(hidden)
    return torch.stack(states), hidden, cell
