"""How images lie in memory, which the kernels keep."""

import torch
from torch import Tensor


def channels_last(x: Tensor) -> bool:
    """Whether channels lie together, behind the picture."""
    if x.ndim != 4 or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=torch.channels_last)
