"""The order of a tensor's elements in memory, which kernels keep.

Elements are numbered with the last dimension fastest, whatever the memory format. A tensor in
another format, such as channels-last, keeps it, since the layers around it are slower if formats
are mixed.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dropsmith.rng import Words


def channels_last(x: Tensor) -> bool:
    """Say whether a tensor has the memory format channels-last."""
    if x.ndim != 4 or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=torch.channels_last)


def order_of(x: Tensor) -> tuple[int, ...]:
    """The dimensions from the slowest to the fastest in memory.

    Args:
        x: a dense tensor, as every clone is.
    """
    sizes, strides = x.shape, x.stride()
    # The stride of a dimension of one element has no meaning.
    return tuple(sorted(range(x.ndim), key=lambda dim: (sizes[dim] != 1, -strides[dim])))


def dense(x: Tensor) -> bool:
    """Say whether elements are contiguous in some order of the dimensions."""
    return x.permute(order_of(x)).is_contiguous()


def empty_as(x: Tensor) -> Tensor:
    """Empty memory in the format of the result of torch's own dropout."""
    # With dimensions of one element, strides alone do not tell a named memory format.
    if x.is_contiguous():
        return torch.empty_like(x, memory_format=torch.contiguous_format)
    if channels_last(x):
        return torch.empty_like(x, memory_format=torch.channels_last)
    return torch.empty_like(x)


class ReadingOrder:
    """Elements whose order in memory is that of their numbers.

    Args:
        step: the most elements that are numbered at a time.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._numbers = np.arange(step, dtype=np.uint32)

    def write(self, start: int, word: Words) -> None:
        """Write the numbers of the elements from `start` on in memory."""
        np.add(self._numbers[: len(word)], np.uint32(start), word)


@dataclass(frozen=True)
class PermutedOrder:
    """Elements whose order in memory is not that of their numbers.

    Args:
        outer: the number of the first element of each run, in the order of memory.
        inner: the number of each element of a run relative to the first.
        step: the most elements that are numbered at a time, a multiple of a run.
    """

    outer: Words
    inner: Words
    step: int

    @classmethod
    def of(cls, sizes: tuple[int, ...], order: tuple[int, ...], step: int) -> "PermutedOrder":
        """The order of a tensor from its dimensions in memory, the slowest first."""
        runs = len(order) - 1
        while runs and math.prod(sizes[dim] for dim in order[runs - 1 :]) <= step:
            runs -= 1
        outer, inner = (_numbers(sizes, part) for part in (order[:runs], order[runs:]))
        return cls(outer, inner, max(step // len(inner), 1) * len(inner))

    def write(self, start: int, word: Words) -> None:
        """Write the numbers of the elements from `start` on in memory."""
        first, count = start // len(self.inner), len(word) // len(self.inner)
        runs = self.outer[first : first + count, None]
        np.add(runs, self.inner, word.reshape(count, len(self.inner)))


def _numbers(sizes: tuple[int, ...], dims: tuple[int, ...]) -> Words:
    """The numbers of the elements along some dimensions, the last of them fastest."""
    numbers = np.zeros(1, np.uint32)
    for dim in dims:
        along = np.arange(sizes[dim], dtype=np.uint32) * np.uint32(math.prod(sizes[dim + 1 :]))
        numbers = (numbers[:, None] + along).ravel()
    return numbers
