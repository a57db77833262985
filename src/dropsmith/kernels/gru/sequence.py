"""One autograd function over the whole sequence; see `dropsmith.kernels.lstm.sequence`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, outline, replay_gradients
from dropsmith.kernels.gru.reference import gru as by_definition
from dropsmith.kernels.state_noise import NO_NOISE, Recurrence, StateNoise, blend, split_gradient


def gru(
    gates: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor]:
    """See `dropsmith.kernels.gru.gru`."""
    states = _Sequence.apply(gates, hidden, weight, bias, noise)
    return states, states[-1]  # pyright: ignore


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, noise: StateNoise
    ) -> Tensor:
        time, batch, _, unit = gates.shape
        recurrence = Recurrence(weight, gates, noise.recurrent)
        product, bias_row = recurrence.product(), bias.detach().to(gates.dtype).view(3, unit)
        acts = torch.empty_like(gates)
        recurrent = gates.new_empty(time, batch, unit)
        hiddens = gates.new_empty(time + 1, batch, unit)
        hiddens[0] = hidden
        for step in range(time):
            act, before = acts[step], hiddens[step]
            torch.add(product(step, before), bias_row, out=act)
            recurrent[step] = act[:, 2]
            act[:, :2].add_(gates[step, :, :2]).sigmoid_()
            act[:, 2].mul_(act[:, 0]).add_(gates[step, :, 2]).tanh_()
            result = torch.lerp(act[:, 2], before, act[:, 1])
            hiddens[step + 1] = blend(before, result, noise.hidden_update, step)
        ctx.save_for_backward(acts, recurrent, hiddens, hidden, weight, bias)
        ctx.recurrence, ctx.noise, ctx.outline = recurrence, noise, outline(gates)
        return hiddens[1:].clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore
        (d_states,) = upstream
        acts, recurrent, hiddens, hidden, weight, bias = ctx.saved_tensors
        noise: StateNoise = ctx.noise
        if torch.is_grad_enabled():
            inputs = ctx.outline, hidden, weight, bias
            return (*_replay(acts, inputs, noise, ctx.needs_input_grad[:4], upstream), None)
        product = ctx.recurrence.backward()
        grads, new_slopes = _derivatives(acts, recurrent, hiddens)
        update = acts[:, :, 1]
        d_hidden = torch.zeros_like(d_states[0])
        for step in reversed(range(len(acts))):
            d_hidden = d_hidden + d_states[step]
            d_hidden, stays = split_gradient(d_hidden, noise.hidden_update, step)
            grad = grads[step]
            grad.mul_(d_hidden[:, None])
            new_slopes[step].mul_(d_hidden)
            d_hidden = torch.addcmul(product(step, grad), d_hidden, update[step])
            if stays is not None:
                d_hidden = d_hidden + stays
        d_weight = None
        if ctx.needs_input_grad[2]:
            d_weight = ctx.recurrence.weight_gradient(grads, hiddens[:-1]).to(weight.dtype)
        d_bias = grads.sum((0, 1)).view(-1).to(bias.dtype)
        d_gates = torch.cat([grads[:, :, :2], new_slopes[:, :, None]], 2)
        return d_gates, d_hidden, d_weight, d_bias, None


def _replay(
    acts: Tensor,
    inputs: Sequence[Tensor],
    noise: StateNoise,
    needs: Sequence[bool],
    grads: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    def loop(gates: Any, hidden: Any, weight: Any, bias: Any, activation: Activation) -> Any:
        return by_definition(gates, hidden, weight, bias, noise, activation)[:1]

    return replay_gradients(loop, acts, inputs, needs, grads)


def _derivatives(acts: Tensor, recurrent: Tensor, hiddens: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of the hidden state by each recurrent part of the gates, and by `new`'s score."""
    reset, update, new = acts.unbind(2)
    result = torch.empty_like(acts)
    inner = (1 - update) * (1 - new * new)
    torch.mul(inner * recurrent, reset * (1 - reset), out=result[:, :, 0])
    torch.mul(hiddens[:-1] - new, update * (1 - update), out=result[:, :, 1])
    torch.mul(inner, reset, out=result[:, :, 2])
    return result, inner
