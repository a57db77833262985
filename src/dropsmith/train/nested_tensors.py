"""Tensors in tuples, lists and dicts, converted for a file and back.

The structure is plain JSON for these containers alone, so a file cannot name a class or a module
that reading would import.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from dropsmith.errors import CheckpointError, excerpt

DEEPEST = 50
"""The most levels of nested tuples, lists and dicts."""

_ADVICE = "a checkpoint holds tensors, numbers, texts, True, False, None, tuples, lists and dicts"


def flatten(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors in named values, by the name of the value and their position in it.

    >>> import torch
    >>> sorted(flatten({"state": (torch.ones(1), None, torch.ones(1)), "x": torch.ones(1)}))
    ['state/0', 'state/2', 'x']
    """
    tensors: dict[str, Tensor] = {}
    for name, value in values.items():
        leaves = [("", value)] if isinstance(value, Tensor) else _numbered(value)
        tensors |= {name + place: leaf for place, leaf in leaves if isinstance(leaf, Tensor)}
    return tensors


def pack(values: Mapping[str, Any]) -> tuple[dict[str, Tensor], Any]:
    """The tensors by number, and their structure as JSON values.

    >>> import torch
    >>> tensors, structure = pack({"state": (torch.zeros(1), None)})
    >>> structure
    {'dict': {'state': {'tuple': [{'tensor': 0}, {'value': None}]}}}

    Raises:
        CheckpointError: the values hold something else, such as an object of a class.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _structure(dict(values), tensors, "", 0)


def unpack(tensors: Mapping[str, Tensor], structure: Any) -> dict[str, Any]:
    """The values from the result of `pack`.

    >>> import torch
    >>> unpack(*pack({"state": (torch.zeros(1), torch.ones(1))}))
    {'state': (tensor([0.]), tensor([1.]))}

    Raises:
        CheckpointError: `pack` makes no such structure, or the tensors are of another one.
    """
    left = dict(tensors)
    values = _values(structure, left, "", 0)
    if not isinstance(values, dict):
        raise CheckpointError(f"the whole should be a dict, but is {excerpt(structure)}")
    if left:
        raise CheckpointError(f"tensor {next(iter(left))} is not in the structure")
    return values


def _numbered(value: Any) -> list[tuple[str, Any]]:
    return [(f"/{index}", leaf) for index, leaf in enumerate(pytree.tree_leaves(value))]


def _structure(value: Any, tensors: dict[str, Tensor], place: str, level: int) -> Any:
    if isinstance(value, Tensor):
        tensors[str(len(tensors))] = value
        return {"tensor": len(tensors) - 1}
    if value is None or type(value) in (bool, int, float, str):
        return {"value": value}
    if type(value) in (tuple, list, dict) and level == DEEPEST:
        raise CheckpointError(f"{place} is more than {DEEPEST} levels deep")
    if type(value) in (tuple, list):
        items = [_structure(v, tensors, f"{place}.{i}", level + 1) for i, v in enumerate(value)]
        return {type(value).__name__: items}
    if type(value) is dict:
        if other := [key for key in value if type(key) is not str]:
            raise CheckpointError(
                f"{place or 'the whole'} has a key that is not text: {excerpt(other[0])}"
            )
        entries = value.items()
        return {"dict": {k: _structure(v, tensors, f"{place}.{k}", level + 1) for k, v in entries}}
    raise CheckpointError(f"{place.lstrip('.')} is of {type(value)}\n  {_ADVICE}")


def _values(structure: Any, tensors: dict[str, Tensor], place: str, level: int) -> Any:
    kind, inner = _only_entry(structure, place)
    match kind, inner:
        case "tensor", int(number) if str(number) in tensors and type(number) is int:
            return tensors.pop(str(number))
        case "value", None | bool() | int() | float() | str():
            return inner
        case (("tuple" | "list"), list(items)) if level < DEEPEST:
            values = [_values(v, tensors, f"{place}.{i}", level + 1) for i, v in enumerate(items)]
            return tuple(values) if kind == "tuple" else values
        case "dict", dict(entries) if level < DEEPEST:
            return {k: _values(v, tensors, f"{place}.{k}", level + 1) for k, v in entries.items()}
        case "tensor", _:
            raise CheckpointError(f"{_field(place)} names no tensor of its own: {excerpt(inner)}")
        case _:
            raise CheckpointError(f"{_field(place)} should be {kind!r}, but is {excerpt(inner)}")


def _only_entry(structure: Any, place: str) -> tuple[Any, Any]:
    if isinstance(structure, dict) and len(structure) == 1:
        kind, inner = next(iter(structure.items()))
        if kind in ("tensor", "value", "tuple", "list", "dict"):
            return kind, inner
    raise CheckpointError(
        f"{_field(place)} should be one of 'tensor', 'value', 'tuple', 'list' and 'dict', "
        f"but is {excerpt(structure)}"
    )


def _field(place: str) -> str:
    return f"field {place.lstrip('.')}" if place else "the whole"
