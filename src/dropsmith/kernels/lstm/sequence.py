"""One autograd function over the whole sequence.

Backward computes the local derivatives of all steps at once, and the gradient of the weight as one
product after its loop. The loop holds only the part of a step that depends on the next step.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dropsmith.kernels.double_backward import Activation, outline, replay_gradients
from dropsmith.kernels.lstm.reference import lstm as by_definition
from dropsmith.kernels.state_noise import NO_NOISE, Recurrence, StateNoise, blend, split_gradient


def lstm(
    gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor, Tensor]:
    """See `dropsmith.kernels.lstm.lstm`."""
    states, last = _Sequence.apply(gates, hidden, cell, weight, noise)  # pyright: ignore
    return states, states[-1], last


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, noise: StateNoise
    ) -> tuple[Tensor, Tensor]:
        time, batch, _, unit = gates.shape
        recurrence = Recurrence(weight, gates, noise.recurrent)
        product = recurrence.product()
        acts = torch.empty_like(gates)
        tanh_cells = gates.new_empty(time, batch, unit)
        hiddens, cells = gates.new_empty(2, time + 1, batch, unit)
        hiddens[0], cells[0] = hidden, cell
        for step in range(time):
            act, result = acts[step], cells[step + 1]
            torch.add(gates[step], product(step, hiddens[step]), out=act)
            act[:, :2].sigmoid_()
            act[:, 2].tanh_()
            act[:, 3].sigmoid_()
            torch.mul(act[:, 0], act[:, 2], out=result)
            result.addcmul_(act[:, 1], cells[step])
            torch.tanh(result, out=tanh_cells[step])
            torch.mul(act[:, 3], tanh_cells[step], out=hiddens[step + 1])
            _zone_out(noise, step, hiddens, cells)
        ctx.save_for_backward(acts, tanh_cells, hiddens, cells, hidden, cell, weight)
        ctx.recurrence, ctx.noise, ctx.outline = recurrence, noise, outline(gates)
        return hiddens[1:].clone(), cells[time].clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Any:  # pyright: ignore
        d_states, d_cell = upstream
        acts, tanh_cells, hiddens, cells, *inputs, weight = ctx.saved_tensors
        noise: StateNoise = ctx.noise
        if torch.is_grad_enabled():
            inputs = ctx.outline, *inputs, weight
            return (*replay(acts, inputs, noise, ctx.needs_input_grad[:4], upstream), None)
        product = ctx.recurrence.backward()
        grads = _derivatives(acts, tanh_cells, cells)
        leave, forget = acts[:, :, 3], acts[:, :, 1]
        through = leave * (1 - tanh_cells * tanh_cells)
        d_hidden, d_cell = torch.zeros_like(d_states[0]), d_cell.clone()
        for step in reversed(range(len(acts))):
            d_hidden = d_hidden + d_states[step]
            d_hidden, hidden_stays = split_gradient(d_hidden, noise.hidden_update, step)
            d_cell, cell_stays = split_gradient(d_cell, noise.cell_update, step)
            d_cell = torch.addcmul(d_cell, d_hidden, through[step])
            grad = grads[step]
            grad[:, :3].mul_(d_cell[:, None])
            grad[:, 3].mul_(d_hidden)
            d_cell.mul_(forget[step])
            d_hidden = product(step, grad)
            if hidden_stays is not None:
                d_hidden = d_hidden + hidden_stays
            if cell_stays is not None:
                d_cell = d_cell + cell_stays
        d_weight = None
        if ctx.needs_input_grad[3]:
            d_weight = ctx.recurrence.weight_gradient(grads, hiddens[:-1]).to(weight.dtype)
        return grads, d_hidden, d_cell, d_weight, None


def replay(
    acts: Tensor,
    inputs: Sequence[Tensor],
    noise: StateNoise,
    needs: Sequence[bool],
    grads: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """The gradients of the gates' outline, states and weight, with a graph."""

    def loop(gates: Any, hidden: Any, cell: Any, weight: Any, activation: Activation) -> Any:
        states, _, last = by_definition(gates, hidden, cell, weight, noise, activation)
        return states, last

    return replay_gradients(loop, acts, inputs, needs, grads)


def _zone_out(noise: StateNoise, step: int, hiddens: Tensor, cells: Tensor) -> None:
    for share, states in ((noise.hidden_update, hiddens), (noise.cell_update, cells)):
        if share is not None:
            states[step + 1] = blend(states[step], states[step + 1], share, step)


def _derivatives(acts: Tensor, tanh_cells: Tensor, cells: Tensor) -> Tensor:
    """The cell's derivatives by the first three gates' scores, the hidden state's by the last."""
    enter, forget, new, leave = acts.unbind(2)
    result = torch.empty_like(acts)
    torch.mul(new * enter, 1 - enter, out=result[:, :, 0])
    torch.mul(cells[:-1] * forget, 1 - forget, out=result[:, :, 1])
    torch.mul(enter, 1 - new * new, out=result[:, :, 2])
    torch.mul(tanh_cells * leave, 1 - leave, out=result[:, :, 3])
    return result
