"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, at, mixed


def lstm(
    gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor, Tensor]:
    """See `dropsmith.kernels.lstm.lstm`."""
    matrices = weight.unflatten(0, (4, -1))
    states = []
    for step, score in enumerate(gates):
        seen = hidden[:, None].expand_as(score)
        if noise.recurrent is not None:
            seen = seen * at(noise.recurrent, step)
        score = score + torch.einsum("bgi,goi->bgo", seen, matrices)
        enter, forget, new, leave = score.unbind(1)
        made = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = mixed(hidden, leave.sigmoid() * made.tanh(), noise.hidden_update, step)
        cell = mixed(cell, made, noise.cell_update, step)
        states.append(hidden)
    return torch.stack(states), hidden, cell
