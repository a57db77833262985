"""The definition: a loop over time that autograd differentiates."""

from functools import partial

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
        activate = activations_at(activation, step)
        (hidden,) = _step((hidden,), score, noise.at(step), (weight,), activate, nonlinearity)
        states.append(hidden)
    return torch.stack(states), hidden


def as_one_loop(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """The same for a graph that is exported."""
    step = partial(_step, nonlinearity=nonlinearity)
    states, (hidden,) = scan(step, (hidden,), gates[:, :, 0], noise, (weight,))
    return states, hidden


def _step(
    states: tuple[Tensor, ...],
    score: Tensor,
    noise: StateNoise,
    weights: tuple[Tensor, ...],
    activate: Activate = compute,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, ...]:
    (hidden,) = states
    hidden_inputs = hidden
    if noise.recurrent is not None:
        hidden_inputs = hidden_inputs * noise.recurrent[:, 0]
    score = (score + hidden_inputs @ weights[0].t())[:, None]
    new = activate(nonlinearity, score, slice(0, 1))[:, 0]
    return (blend_share(hidden, new, noise.hidden_update),)
