"""The structure of a model's inputs and outputs: leaves in containers.

Containers are mappings (also those of Hugging Face), tuples, named tuples, lists, dataclasses, and
caches of keys, values or recurrent states, whose class names contain `Cache`. Everything else is a
leaf: tensors, packed sequences, numbers, `None`.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from dropsmith.errors import SiteError
from dropsmith.kernels import lazy_logits

_LEAVES = (Tensor, PackedSequence, torch.Size, str, bytes, int, float, bool, type, type(None))


def parts_of(value: Any) -> list[Any] | None:
    """The parts of a container in order; None for a leaf.

    >>> parts_of({"x": 1, "y": 2}), parts_of(torch.ones(2))
    ([1, 2], None)
    """
    if isinstance(value, _LEAVES):
        return None
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, tuple | list):
        return list(value)
    if is_dataclass(value):
        return [getattr(value, field.name) for field in fields(value)]
    return list(vars(value).values()) if is_cache(value) else None


def rebuilt(value: Any, parts: list[Any]) -> Any:
    """A container like `value` with other parts."""
    if isinstance(value, Mapping):
        return _mapping(value, dict(zip(value, parts, strict=True)))
    if hasattr(value, "_fields"):
        return type(value)(*parts)
    if isinstance(value, tuple | list):
        return type(value)(parts)
    names = [f.name for f in fields(value)] if is_dataclass(value) else list(vars(value))
    twin = copy.copy(value)
    for name, part in zip(names, parts, strict=True):
        object.__setattr__(twin, name, part)
    return twin


def is_cache(value: Any) -> bool:
    """Say whether an object is a cache of a generating model, or a layer of such a cache."""
    return hasattr(value, "__dict__") and any("Cache" in t.__name__ for t in type(value).__mro__)


def is_object(value: Any) -> bool:
    """Say whether a leaf is an object that nobody can look into, such as a graph.

    >>> is_object(torch.ones(1)), is_object("text"), is_object(object())
    (False, False, True)
    """
    return parts_of(value) is None and not isinstance(value, _LEAVES)


def leaves_of(value: Any, lists: bool = False) -> Iterator[Any]:
    """The leaves of a value in order; with `lists`, a list is a leaf, too.

    >>> list(leaves_of({"a": (1, [2]), "b": 3})), list(leaves_of((1, [2]), lists=True))
    ([1, 2, 3], [1, [2]])
    """
    parts = None if lists and type(value) is list else parts_of(value)
    if parts is None:
        yield value
        return
    for part in parts:
        yield from leaves_of(part, lists)


def map_leaves(change: Callable[[Any], Any], value: Any, lists: bool = False) -> Any:
    """A value of the same structure, with `change` applied to its leaves in order."""
    parts = None if lists and type(value) is list else parts_of(value)
    if parts is None:
        return change(value)
    return rebuilt(value, [map_leaves(change, part, lists) for part in parts])


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in inputs or outputs of a model, including those in packed sequences.

    For lazy logits these are the hidden states that they are computed from.
    """
    tensors: list[Tensor] = []
    for leaf in leaves_of(value):
        if isinstance(leaf, lazy_logits.LazyLogits) and leaf.is_pending:
            tensors += leaf.parts
        elif isinstance(leaf, Tensor) and not (
            isinstance(leaf, lazy_logits.LazyTensor) and leaf.is_pending
        ):
            tensors.append(leaf)
        elif isinstance(leaf, PackedSequence):
            tensors.append(leaf.data)
    return tensors


def leading_tensor(output: Any, site: str) -> Tensor:
    """The tensor that noise at a site applies to; `SiteError` without one."""
    parts = parts_of(output)
    first = output if parts is None else parts[0] if parts else None
    if isinstance(first, Tensor):
        return first
    raise SiteError(
        f"site {site!r} returned a {type(output).__name__} without a first tensor to drop\n"
        "  choose the module inside it whose output is the tensor"
    )


def with_leading_tensor(output: Any, tensor: Tensor) -> Any:
    """The output of a module with its leading tensor replaced."""
    if isinstance(output, Tensor):
        return tensor
    return rebuilt(output, [tensor, *(parts_of(output) or [])[1:]])


def _mapping(value: Mapping[str, Any], items: dict[str, Any]) -> Any:
    if type(value) is dict:
        return items
    if hasattr(value, "to_tuple") and is_dataclass(value):  # an output of transformers
        arguments = {field.name for field in fields(value)}
        twin: Any = type(value)(**{name: x for name, x in items.items() if name in arguments})
        # A model may have added attributes that its class does not take.
        for name in [name for name in items if name not in arguments]:
            twin[name] = items[name]
        return twin
    if not isinstance(value, MutableMapping):
        return type(value)(items)  # pyright: ignore[reportCallIssue]
    twin = copy.copy(value)
    if not isinstance(value, dict):  # a mapping around a dict, which a shallow copy would share
        vars(twin).update({k: dict(v) for k, v in vars(value).items() if type(v) is dict})
    for name, item in items.items():
        twin[name] = item
    return twin
