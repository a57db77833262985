"""Independent coin flips over a whole tensor, drawn from a key and never stored."""

import torch
from torch import Tensor, nn

from dropsmith.errors import ViewError
from dropsmith.kernels.keyed_dropout.chunked import keyed_dropout as _chunked
from dropsmith.kernels.keyed_dropout.reference import keyed_dropout as _reference
from dropsmith.kernels.keyed_dropout.regenerated import keyed_dropout as _regenerated
from dropsmith.kernels.keyed_dropout.triton import keyed_dropout as _drawn
from dropsmith.kernels.keyed_dropout.triton import serves
from dropsmith.rng import Key

__all__ = ["keyed_dropout"]


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """Drop each element with chance `rate` and scale the rest by 1 / (1 - rate).

    A dropped element becomes zero whatever it was, infinity included. Nothing is kept for the
    backward pass but the keys. While a graph is being compiled the reference is traced, and the
    compiler fuses it.

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
    if torch.compiler.is_compiling():
        return _reference(x, keys, rate)
    # A subclass may hold no memory, as while shapes are propagated.
    if x.device.type == "cpu" and type(x) in (Tensor, nn.Parameter):
        return _chunked(x, keys, float(rate))
    if serves(x, keys, rate):
        return _drawn(x, keys, float(rate))
    return _regenerated(x, keys, rate)
