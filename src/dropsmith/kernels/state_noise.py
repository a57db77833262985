"""Masks on the state of a recurrent layer, and the products of its steps under them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.kernels.large_matmul import large_matmul
from dropsmith.kernels.prepacked_matmul import prepacked_matmul


@dataclass(frozen=True, kw_only=True)
class StateNoise:
    """The masks of one layer in one direction over one sequence; None for no mask.

    Args:
        recurrent: multiplies the hidden state at the input of the gates,
            `[time or 1, batch or 1, gate or 1, unit or 1]`.
        hidden_update: the share of each new hidden state in the next state, with the previous state
            as the rest (zoneout, Krueger et al. 2017, section 3.2),
            `[time or 1, batch or 1, unit or 1]`.
        cell_update: the same for the cell.
    """

    recurrent: Tensor | None = None
    hidden_update: Tensor | None = None
    cell_update: Tensor | None = None

    def at(self, step: int) -> "StateNoise":
        """The masks at a time step, without their axis of time."""
        masks = (self.recurrent, self.hidden_update, self.cell_update)
        recurrent, hidden, cell = (None if m is None else step_mask(m, step) for m in masks)
        return StateNoise(recurrent=recurrent, hidden_update=hidden, cell_update=cell)


NO_NOISE = StateNoise()


def step_mask(mask: Tensor, step: int) -> Tensor:
    """The mask at a time step; a mask of one step is held over time."""
    return mask[step if len(mask) > 1 else 0]


class Recurrence:
    """The product of every step, `(mask * hidden) @ weight.T`, and its gradients.

    If each gate has its own mask, each has its own product.

    Args:
        weight: `[gate * unit, unit]`.
        scores: the gates' scores `[time, batch, gate, unit]`, for sizes, type and device.
        mask: as `StateNoise.recurrent`.
    """

    def __init__(self, weight: Tensor, scores: Tensor, mask: Tensor | None) -> None:
        time, batch, self.gates, unit = scores.shape
        self.mask = mask
        self.mask_count = 1 if mask is None else mask.shape[2]
        self.inputs = scores.new_empty(
            time if mask is not None else 0, batch, self.mask_count, unit
        )
        self.weight = weight.detach().to(scores.dtype)
        self.size = batch, unit

    def product(self) -> Callable[[int, Tensor], Tensor]:
        """A function of a step and its hidden state `[batch, unit]`, to `[batch, gate, unit]`."""
        batch, unit = self.size
        parts = self.weight.chunk(self.mask_count)
        products = [prepacked_matmul(part, batch) for part in parts]

        def multiply(step: int, hidden: Tensor) -> Tensor:
            if self.mask is None:
                return products[0](hidden).view(batch, self.gates, unit)
            hidden_inputs = self.inputs[step]
            torch.mul(hidden[:, None], step_mask(self.mask, step), out=hidden_inputs)
            if self.mask_count == 1:
                return products[0](hidden_inputs[:, 0]).view(batch, self.gates, unit)
            return torch.stack([p(hidden_inputs[:, k]) for k, p in enumerate(products)], 1)

        return multiply

    def backward(self) -> Callable[[int, Tensor], Tensor]:
        """A function of a step and the gradient of its product, to that of the hidden state."""
        batch = self.size[0]
        parts = self.weight.chunk(self.mask_count)
        products = [prepacked_matmul(part.t(), batch) for part in parts]

        def multiply(step: int, grad: Tensor) -> Tensor:
            if self.mask_count == 1:
                d_hidden = products[0](grad.reshape(batch, -1))
                return (
                    d_hidden
                    if self.mask is None
                    else d_hidden.mul_(step_mask(self.mask, step)[:, 0])
                )
            gate_grads = [p(grad[:, k].contiguous()) for k, p in enumerate(products)]
            return (torch.stack(gate_grads, 1) * step_mask(self.mask, step)).sum(1)  # pyright: ignore

        return multiply

    def weight_gradient(self, grads: Tensor, hidden: Tensor) -> Tensor:
        """The gradient of the weight over all steps, as one product.

        Args:
            grads: of the products, `[time, batch, gate, unit]`.
            hidden: the state before each step, `[time, batch, unit]`.
        """
        return weight_gradient(grads, hidden[:, :, None] if self.mask is None else self.inputs)


def weight_gradient(grads: Tensor, inputs: Tensor) -> Tensor:
    """The gradient of a recurrence's weight over all steps, one product for each gate's mask.

    Args:
        grads: of the products, `[time, batch, gate, unit]`.
        inputs: the inputs of the products, `[time, batch, 1 or gate, unit]`.
    """
    rows, unit = grads.shape[0] * grads.shape[1], grads.shape[3]
    if inputs.shape[2] == 1:
        return large_matmul(grads.reshape(rows, -1).t(), inputs.reshape(rows, unit).t())
    gate_grads = (grads[:, :, k].reshape(rows, unit).t() for k in range(inputs.shape[2]))
    gate_inputs = (inputs[:, :, k].reshape(rows, unit).t() for k in range(inputs.shape[2]))
    return torch.cat([large_matmul(*pair) for pair in zip(gate_grads, gate_inputs, strict=True)])


def blend(before: Tensor, after: Tensor, share: Tensor | None, step: int) -> Tensor:
    """The state when only a share of an update is taken."""
    return blend_share(before, after, None if share is None else step_mask(share, step))


def blend_share(before: Tensor, after: Tensor, share: Tensor | None) -> Tensor:
    """The same for the share of one step."""
    return after if share is None else torch.lerp(before, after, share)


def split_gradient(grad: Tensor, share: Tensor | None, step: int) -> tuple[Tensor, Tensor | None]:
    """The gradients of the two states that `blend` mixes: the new one and the one before."""
    if share is None:
        return grad, None
    update = grad * step_mask(share, step)
    return update, grad - update
