"""The definition: a loop over time that autograd differentiates."""

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import (
    Activate,
    Activation,
    activations_at,
    compute,
    compute_activation,
)
from dropsmith.kernels.scan import scan
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise, blend_share


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
        activate = activations_at(activation, step)
        hidden, cell = _step((hidden, cell), score, noise.at(step), (matrices,), activate)
        states.append(hidden)
    return torch.stack(states), hidden, cell


def as_one_loop(
    gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor, Tensor]:
    """The same for a graph that is exported."""
    matrices = weight.unflatten(0, (4, -1))
    states, (hidden, cell) = scan(_step, (hidden, cell), gates, noise, (matrices,))
    return states, hidden, cell


def _step(
    states: tuple[Tensor, ...],
    score: Tensor,
    noise: StateNoise,
    weights: tuple[Tensor, ...],
    activate: Activate = compute,
) -> tuple[Tensor, ...]:
    hidden, cell = states
    hidden_inputs = hidden[:, None].expand_as(score)
    if noise.recurrent is not None:
        hidden_inputs = hidden_inputs * noise.recurrent
    score = score + torch.einsum("bgi,goi->bgo", hidden_inputs, weights[0])
    enter, forget = activate("sigmoid", score[:, :2], slice(0, 2)).unbind(1)
    new = activate("tanh", score[:, 2:3], slice(2, 3))[:, 0]
    leave = activate("sigmoid", score[:, 3:], slice(3, 4))[:, 0]
    proposal = forget * cell + enter * new
    after = blend_share(hidden, leave * proposal.tanh(), noise.hidden_update)
    return after, blend_share(cell, proposal, noise.cell_update)
