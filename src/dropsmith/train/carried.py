"""What a model carries from one window of a text to the next, on its way through a checkpoint."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree


def flat(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors in some named values, by the value's name and their place in it.

    >>> import torch
    >>> sorted(flat({"state": (torch.ones(1), torch.ones(1)), "x": torch.ones(1)}))
    ['state/0', 'state/1', 'x']
    """
    found: dict[str, Tensor] = {}
    for name, value in values.items():
        if isinstance(value, Tensor):
            found[name] = value
        else:
            found |= {f"{name}/{i}": leaf for i, leaf in enumerate(pytree.tree_leaves(value))}
    return found


def packed(carried: Mapping[str, Any]) -> tuple[dict[str, Tensor], str]:
    """The tensors by number, and as text how they hang together; tuples, lists and dicts do."""
    leaves, spec = pytree.tree_flatten(dict(carried))
    return {str(i): leaf for i, leaf in enumerate(leaves)}, pytree.treespec_dumps(spec)


def unpacked(tensors: Mapping[str, Tensor], spec: str) -> dict[str, Any]:
    """What was packed.

    >>> import torch
    >>> unpacked(*packed({"state": (torch.zeros(1), torch.ones(1))}))
    {'state': (tensor([0.]), tensor([1.]))}
    """
    leaves = [tensors[str(i)] for i in range(len(tensors))]
    return pytree.tree_unflatten(leaves, pytree.treespec_loads(spec))
