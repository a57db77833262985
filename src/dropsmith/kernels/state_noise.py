"""What noise does to the state of a recurrent layer, as one value of masks."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.kernels.many_products import many_products
from dropsmith.kernels.wide_product import wide_product


@dataclass(frozen=True, kw_only=True)
class StateNoise:
    """Masks of one run of one layer in one direction over a sequence; None is no noise.

    Args:
        recurrent: multiplies the hidden state on its way into the gates,
            `[time or 1, batch or 1, gate or 1, unit or 1]`.
        hidden_update: the share of each step's new hidden state that is taken, the rest staying
            as it was (zoneout, Krueger et al. 2017, section 3.2),
            `[time or 1, batch or 1, unit or 1]`.
        cell_update: the same for the cell.
    """

    recurrent: Tensor | None = None
    hidden_update: Tensor | None = None
    cell_update: Tensor | None = None


NO_NOISE = StateNoise()


def at(mask: Tensor, step: int) -> Tensor:
    """A mask's part at a time step; one that is held over time is the same at all."""
    return mask[step if len(mask) > 1 else 0]


class Recurrence:
    """The product of every step, `(mask * hidden) @ weight.T`, and what its gradients need.

    Where the gates have masks of their own, each has a product of its own.

    Args:
        weight: `[gate * unit, unit]`.
        like: the gates' scores `[time, batch, gate, unit]`, for sizes, type and device.
        mask: as `StateNoise.recurrent`.
    """

    def __init__(self, weight: Tensor, like: Tensor, mask: Tensor | None) -> None:
        time, batch, self.gates, unit = like.shape
        self.mask = mask
        self.own = 1 if mask is None else mask.shape[2]
        self.masked = like.new_empty(time if mask is not None else 0, batch, self.own, unit)
        self.weight = weight.detach().to(like.dtype)
        self.size = batch, unit

    def product(self) -> Callable[[int, Tensor], Tensor]:
        """Takes a step and its hidden state `[batch, unit]` to `[batch, gate, unit]`."""
        batch, unit = self.size
        parts = self.weight.chunk(self.own)
        products = [many_products(part, batch) for part in parts]

        def one(step: int, hidden: Tensor) -> Tensor:
            if self.mask is None:
                return products[0](hidden).view(batch, self.gates, unit)
            kept = self.masked[step]
            torch.mul(hidden[:, None], at(self.mask, step), out=kept)
            if self.own == 1:
                return products[0](kept[:, 0]).view(batch, self.gates, unit)
            return torch.stack([p(kept[:, k]) for k, p in enumerate(products)], 1)

        return one

    def backward(self) -> Callable[[int, Tensor], Tensor]:
        """Takes a step and the gradient of its product to that of the hidden state."""
        batch = self.size[0]
        parts = self.weight.chunk(self.own)
        products = [many_products(part.t(), batch) for part in parts]

        def one(step: int, grad: Tensor) -> Tensor:
            if self.own == 1:
                found = products[0](grad.reshape(batch, -1))
                return found if self.mask is None else found.mul_(at(self.mask, step)[:, 0])
            each = [p(grad[:, k].contiguous()) for k, p in enumerate(products)]
            return (torch.stack(each, 1) * at(self.mask, step)).sum(1)  # pyright: ignore

        return one

    def weight_gradient(self, grads: Tensor, hidden: Tensor) -> Tensor:
        """Of all steps as one product.

        Args:
            grads: of the products, `[time, batch, gate, unit]`.
            hidden: the state before each step, `[time, batch, unit]`.
        """
        return weight_gradient(grads, hidden[:, :, None] if self.mask is None else self.masked)


def weight_gradient(grads: Tensor, seen: Tensor) -> Tensor:
    """Of a recurrence's weight, over all steps as one product for each mask of the gates.

    Args:
        grads: of the products, `[time, batch, gate, unit]`.
        seen: what they were products of, `[time, batch, 1 or gate, unit]`.
    """
    rows, unit = grads.shape[0] * grads.shape[1], grads.shape[3]
    if seen.shape[2] == 1:
        return wide_product(grads.reshape(rows, -1).t(), seen.reshape(rows, unit).t())
    each = (grads[:, :, k].reshape(rows, unit).t() for k in range(seen.shape[2]))
    of = (seen[:, :, k].reshape(rows, unit).t() for k in range(seen.shape[2]))
    return torch.cat([wide_product(*pair) for pair in zip(each, of, strict=True)])


def mixed(before: Tensor, after: Tensor, share: Tensor | None, step: int) -> Tensor:
    """The state after a step of which only a share is taken."""
    return after if share is None else torch.lerp(before, after, at(share, step))


def parted(grad: Tensor, share: Tensor | None, step: int) -> tuple[Tensor, Tensor | None]:
    """What `mixed` hands back: the gradient of the new state, and of the one that stayed."""
    if share is None:
        return grad, None
    taken = grad * at(share, step)
    return taken, grad - taken
