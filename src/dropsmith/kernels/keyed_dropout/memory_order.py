"""The order in which a tensor's elements lie in memory, which kernels keep.

Elements count in reading order: the last dimension fastest, whatever lies together in memory. A
tensor that is permuted, such as one whose channels lie behind the picture, is dropped where it
lies, for the layers around it are slower where one tensor lies by channels and the other by rows.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dropsmith.rng import Words


def channels_last(x: Tensor) -> bool:
    """Say whether channels lie together, behind the picture."""
    if x.ndim != 4 or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=torch.channels_last)


def order_of(x: Tensor) -> tuple[int, ...]:
    """The dimensions from the slowest to the fastest in memory.

    Args:
        x: a tensor that lies densely, as every clone does.
    """
    sizes, strides = x.shape, x.stride()
    # Of a dimension of one element the stride may be anything.
    return tuple(sorted(range(x.ndim), key=lambda dim: (sizes[dim] != 1, -strides[dim])))


def dense(x: Tensor) -> bool:
    """Say whether elements lie one behind the other in some order, each once."""
    return x.permute(order_of(x)).is_contiguous()


def empty_as(x: Tensor) -> Tensor:
    """Memory of the layout that torch's own dropout gives to its result."""
    # Where a dimension has one element, an order that has a name is told by it alone.
    if x.is_contiguous():
        return torch.empty_like(x, memory_format=torch.contiguous_format)
    if channels_last(x):
        return torch.empty_like(x, memory_format=torch.channels_last)
    return torch.empty_like(x)


class ReadingOrder:
    """Elements that lie in the order in which they count.

    Args:
        step: how many are numbered at a time, at most.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._numbers = np.arange(step, dtype=np.uint32)

    def write(self, start: int, word: Words) -> None:
        """Write the numbers of the elements that lie at `start` and behind it."""
        np.add(self._numbers[: len(word)], np.uint32(start), word)


@dataclass(frozen=True)
class PermutedOrder:
    """Elements that lie in another order than that in which they count.

    Args:
        outer: the number of the first element of each run, in the order of memory.
        inner: what each element of a run adds to it.
        step: how many are numbered at a time, at most: whole runs.
    """

    outer: Words
    inner: Words
    step: int

    @classmethod
    def of(cls, sizes: tuple[int, ...], order: tuple[int, ...], step: int) -> "PermutedOrder":
        """That of a tensor whose dimensions lie in an order, the slowest first."""
        runs = len(order) - 1
        while runs and math.prod(sizes[dim] for dim in order[runs - 1 :]) <= step:
            runs -= 1
        outer, inner = (_numbers(sizes, part) for part in (order[:runs], order[runs:]))
        return cls(outer, inner, max(step // len(inner), 1) * len(inner))

    def write(self, start: int, word: Words) -> None:
        """Write the numbers of the elements that lie at `start` and behind it."""
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
