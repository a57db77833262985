"""What autograd keeps between forward and backward."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def kept_for_backward() -> Iterator[list[Tensor]]:
    """A list that fills with each tensor that operations inside the block keep for backward.

    >>> x = torch.ones(3, requires_grad=True)
    >>> with kept_for_backward() as kept:
    ...     y = x.exp() + 1
    >>> [tuple(tensor.shape) for tensor in kept]
    [(3,)]
    """
    kept: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield kept
