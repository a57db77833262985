"""Telling scores that differ from scores that were only rounded otherwise.

Products over another number of rows are rounded otherwise, by a little of the largest value.
"""

import torch
from torch import Tensor


def alike(a: Tensor, b: Tensor, within: float) -> bool:
    """Whether two tensors are equal but for a share of the largest finite value.

    Args:
        a: the one.
        b: the other, whose values set the scale; of the same shape.
        within: the share that is taken for rounding.
    """
    finite = b[b.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 1.0
    return torch.allclose(a, b, rtol=0, atol=within * max(scale, 1e-6), equal_nan=True)
