"""One autograd function over the whole sequence; see `dropsmith.kernels.lstm.sequence`."""

from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, outline, replay_gradients
from dropsmith.kernels.elman.reference import elman as by_definition
from dropsmith.kernels.state_noise import NO_NOISE, Recurrence, StateNoise, blend, split_gradient


def elman(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.elman.elman`."""
    states = _Sequence.apply(gates, hidden, weight, noise, nonlinearity)
    return states, states[-1]  # pyright: ignore


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        hidden: Tensor,
        weight: Tensor,
        noise: StateNoise,
        nonlinearity: str,
    ) -> Tensor:
        time, batch, _, unit = gates.shape
        recurrence = Recurrence(weight, gates, noise.recurrent)
        product = recurrence.product()
        acts = torch.empty_like(gates)
        hiddens = gates.new_empty(time + 1, batch, unit)
        hiddens[0] = hidden
        for step in range(time):
            act, before = acts[step], hiddens[step]
            torch.add(gates[step], product(step, before), out=act)
            act.tanh_() if nonlinearity == "tanh" else act.relu_()
            hiddens[step + 1] = blend(before, act[:, 0], noise.hidden_update, step)
        ctx.save_for_backward(acts, hiddens, hidden, weight)
        ctx.recurrence, ctx.noise, ctx.nonlinearity = recurrence, noise, nonlinearity
        ctx.outline = outline(gates)
        return hiddens[1:].clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore
        (d_states,) = upstream
        acts, hiddens, hidden, weight = ctx.saved_tensors
        noise: StateNoise = ctx.noise
        if torch.is_grad_enabled():

            def loop(gates: Any, hidden: Any, weight: Any, activation: Activation) -> Any:
                kind = ctx.nonlinearity
                return by_definition(gates, hidden, weight, noise, kind, activation)[:1]

            inputs = ctx.outline, hidden, weight
            needs = ctx.needs_input_grad[:3]
            return (*replay_gradients(loop, acts, inputs, needs, upstream), None, None)
        product = ctx.recurrence.backward()
        grads = 1 - acts * acts if ctx.nonlinearity == "tanh" else (acts > 0).to(acts.dtype)
        d_hidden = torch.zeros_like(d_states[0])
        for step in reversed(range(len(acts))):
            d_hidden = d_hidden + d_states[step]
            d_hidden, stays = split_gradient(d_hidden, noise.hidden_update, step)
            grads[step].mul_(d_hidden[:, None])
            d_hidden = product(step, grads[step])
            if stays is not None:
                d_hidden = d_hidden + stays
        d_weight = None
        if ctx.needs_input_grad[2]:
            d_weight = ctx.recurrence.weight_gradient(grads, hiddens[:-1]).to(weight.dtype)
        return grads, d_hidden, d_weight, None, None
