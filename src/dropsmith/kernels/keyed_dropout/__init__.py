"""Independent coin flips over a whole tensor, drawn from a key and never stored where large."""

import torch
from torch import Tensor, nn

from dropsmith.errors import ViewError
from dropsmith.kernels.keyed_dropout import chunked, reference, small, triton
from dropsmith.rng import Key
from dropsmith.transforms import transforms_active

__all__ = ["keyed_dropout"]


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """Drop each element with chance `rate` and scale the rest by 1 / (1 - rate).

    A dropped element becomes zero whatever it was, infinity included. The result lies in memory as
    torch's own dropout would lay it. For the backward pass nothing is kept but the keys; where `x`
    is of 64 KiB or less on a CPU, its mask is. While a graph is being compiled, and under
    `torch.func`, the reference runs: the compiler fuses it, and transforms follow it.

    Args:
        x: any floating tensor; dimension 0 holds `len(keys)` views of equal length, in order.
            Raise `ViewError` where it cannot be divided so.
        keys: one key for each view; an element's index counts within its view.
        rate: chance of dropping, in [0, 1).
    """
    if len(keys) > 1 and (x.ndim == 0 or x.shape[0] % len(keys)):
        raise ViewError(
            f"{len(keys)} views do not divide a tensor of sizes {tuple(x.shape)}\n"
            "  dimension 0 holds as many rows of each view, one view after the other"
        )
    if torch.compiler.is_compiling() or transforms_active():
        return reference.keyed_dropout(x, keys, rate)
    # A subclass may hold no memory, as while shapes are propagated.
    if x.is_cpu and (type(x) is Tensor or type(x) is nn.Parameter):
        kernel = small if small.serves(x) else chunked
        return kernel.keyed_dropout(x, keys, float(rate))
    if triton.serves(x, keys, rate):
        return triton.keyed_dropout(x, keys, float(rate))
    return reference.redrawn(x, keys, rate)
