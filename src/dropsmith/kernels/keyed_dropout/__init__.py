"""Independent coin flips over a whole tensor, drawn from a key and never stored."""

import torch
from torch import Tensor

from dropsmith.kernels.keyed_dropout.chunked import keyed_dropout as _chunked
from dropsmith.kernels.keyed_dropout.reference import keyed_dropout as _reference
from dropsmith.rng import Key

__all__ = ["keyed_dropout"]


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """Drop each element with chance `rate` and scale the rest by 1 / (1 - rate).

    A dropped element becomes zero whatever it was, infinity included. Nothing is kept for the
    backward pass but the keys. While a graph is being compiled the reference is traced, and the
    compiler fuses it.

    Args:
        x: any floating tensor; dimension 0 holds `len(keys)` views of equal length, in order.
        keys: one key for each view; an element's index counts within its view.
        rate: chance of dropping, in [0, 1).
    """
    if torch.compiler.is_compiling() or isinstance(rate, Tensor) or x.device.type != "cpu":
        return _reference(x, keys, rate)
    return _chunked(x, keys, rate)
