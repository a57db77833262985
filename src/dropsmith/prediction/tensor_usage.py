"""The tensors in what a module returns, and whether anything but other modules works with them."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_batchedtensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

_LEAVES = (Tensor, int, float, bool, str, type(None))


_METADATA = (
    Tensor.shape.__get__,  # pyright: ignore[reportAttributeAccessIssue]
    Tensor.ndim.__get__,  # pyright: ignore[reportAttributeAccessIssue]
    Tensor.dtype.__get__,  # pyright: ignore[reportAttributeAccessIssue]
    Tensor.device.__get__,  # pyright: ignore[reportAttributeAccessIssue]
    Tensor.size,
    Tensor.dim,
)


class TensorUsage(TorchFunctionMode):
    """Notes which of the values that a `Player` hands out anything but a module works with."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: dict[int, int] = {}
        self.alive: list[Any] = []
        self.calls_in_use: set[int] = set()

    def watch(self, number: int, output: Any) -> None:
        """Watch the tensors of a call, which stay alive so that no other takes their address."""
        self.alive.append(output)
        for leaf in tensors_of(output):
            if not _has_storage(leaf):
                self.calls_in_use.add(number)
                continue
            self.numbers[leaf.untyped_storage().data_ptr()] = number

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func not in _METADATA:
            # What oneDNN has laid out, vmap batched, or has few entries, has no storage to tell
            # it by.
            tensors = (x for x in tensors_of((args, kwargs)) if _has_storage(x))
            numbers = (self.numbers.get(x.untyped_storage().data_ptr()) for x in tensors)
            self.calls_in_use.update(number for number in numbers if number is not None)
        return func(*args, **kwargs)


def _has_storage(x: Tensor) -> bool:
    return x.layout == torch.strided and not is_batchedtensor(x)


def over_tensors(change: Callable[[Tensor], Tensor], output: Any) -> Any:
    """The output with `change` applied to its tensors, in order."""
    return pytree.tree_map(lambda x: change(x) if isinstance(x, Tensor) else x, output)


def tensors_of(output: Any) -> list[Tensor]:
    """The tensors in an output, in order."""
    return [leaf for leaf in pytree.tree_leaves(output) if isinstance(leaf, Tensor)]


def is_open(output: Any) -> bool:
    """True where all of an output can be looked into: nothing but tensors and plain values."""
    return all(isinstance(leaf, _LEAVES) for leaf in pytree.tree_leaves(output))


def hollow(x: Tensor) -> Tensor:
    """A tensor of the same shape that takes no room; whoever computes with it gets not-a-number."""
    return x.new_full((), math.nan if x.is_floating_point() else 0).expand(x.shape)
