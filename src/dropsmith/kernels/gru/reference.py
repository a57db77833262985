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


def gru(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    noise: StateNoise = NO_NOISE,
    activation: Activation = compute_activation,
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.gru.gru`."""
    weights = weight.unflatten(0, (3, -1)), bias.unflatten(0, (3, -1))
    states = []
    for step, score in enumerate(gates):
        activate = activations_at(activation, step)
        (hidden,) = _step((hidden,), score, noise.at(step), weights, activate)
        states.append(hidden)
    return torch.stack(states), hidden


def as_one_loop(
    gates: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor]:
    """The same for a graph that is exported."""
    weights = weight.unflatten(0, (3, -1)), bias.unflatten(0, (3, -1))
    states, (hidden,) = scan(_step, (hidden,), gates, noise, weights)
    return states, hidden


def _step(
    states: tuple[Tensor, ...],
    score: Tensor,
    noise: StateNoise,
    weights: tuple[Tensor, ...],
    activate: Activate = compute,
) -> tuple[Tensor, ...]:
    (hidden,), (matrices, biases) = states, weights
    hidden_inputs = hidden[:, None].expand_as(score)
    if noise.recurrent is not None:
        hidden_inputs = hidden_inputs * noise.recurrent
    recurrent = torch.einsum("bgi,goi->bgo", hidden_inputs, matrices) + biases
    sigmoids = activate("sigmoid", score[:, :2] + recurrent[:, :2], slice(0, 2))
    reset, update = sigmoids.unbind(1)
    candidate = score[:, 2] + reset * recurrent[:, 2]
    new = activate("tanh", candidate[:, None], slice(2, 3))[:, 0]
    proposal = (1 - update) * new + update * hidden
    return (blend_share(hidden, proposal, noise.hidden_update),)
