"""Copies of batches for models that write into what they are given."""

import copy
from typing import Any

from torch import Tensor, nn

from dropsmith.batches.packed import is_packed
from dropsmith.batches.structure import is_object, map_leaves


def copy_tensors(value: Any) -> Any:
    """The same value with copies of its tensors, also of those that objects such as graphs hold."""
    return map_leaves(_copy, value)


def _copy(leaf: Any) -> Any:
    if is_packed(leaf):
        return type(leaf)(leaf.data.clone(), *leaf[1:])
    if isinstance(leaf, Tensor):
        return leaf.clone()
    return _copy_object(leaf) if is_object(leaf) and not isinstance(leaf, nn.Module) else leaf


def _copy_object(value: Any) -> Any:
    """A copy of an object, which graphs of PyTorch Geometric and of DGL make themselves."""
    clone = getattr(value, "clone", None)
    if callable(clone):
        return clone()
    tensors = {k: v.clone() for k, v in getattr(value, "__dict__", {}).items() if _is_tensor(v)}
    if not tensors:
        return value
    twin = copy.copy(value)
    vars(twin).update(tensors)
    return twin


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor) and not isinstance(value, nn.Parameter)
