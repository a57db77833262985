"""A batch as a model takes it: a tensor, a tuple of arguments or a mapping of them by name."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.errors import ViewError
from dropsmith.kernels.lazy_logits import LazyLogits, LazyTensor
from dropsmith.sites.packed import is_packed, packed_rows, with_rows

_WRAPPED = ("module", "_orig_mod")
"""Where DistributedDataParallel and torch.compile keep the model whose arguments they pass on."""


def call(model: nn.Module, batch: Any) -> Any:
    """Run a model on a batch.

    Names that the model's `forward` does not take, such as `labels`, are left out.
    """
    args, kwargs = arguments(model, batch)
    return model(*args, **kwargs)


def arguments(model: nn.Module, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and named arguments a batch stands for."""
    if isinstance(batch, Mapping):
        taken = _names(model)
        return (), {k: v for k, v in batch.items() if taken is None or k in taken}
    if isinstance(batch, tuple | list) and not is_packed(batch):
        return tuple(batch), {}
    return (batch,), {}


def rows_of(batch: Any) -> int:
    """How many rows a batch has: the size of dimension 0 of its first tensor.

    Those of packed sequences are the sequences.

    >>> rows_of({"x": torch.ones(3, 2)})
    3
    """
    for part in pytree.tree_leaves(_plain(batch), is_leaf=is_packed):
        if is_packed(part):
            return packed_rows(part)
        for leaf in tensors_in(part):
            if leaf.ndim:
                return leaf.shape[0]
    raise ViewError(f"found no tensor with rows in the batch, a {type(batch).__name__}")


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in what a model takes or returns, also in the fields of dataclasses.

    In place of scores that are put off stands what they will be made of.
    """
    found: list[Tensor] = []
    for leaf in pytree.tree_leaves(_plain(value)):
        if isinstance(leaf, LazyLogits) and leaf.not_materialised:
            found += leaf.parts
        elif isinstance(leaf, Tensor) and not (
            isinstance(leaf, LazyTensor) and leaf.not_materialised
        ):
            found.append(leaf)
        elif is_dataclass(leaf) and not isinstance(leaf, type):
            found += tensors_in([getattr(leaf, field.name) for field in fields(leaf)])
    return found


def map_rows(change: Callable[[Tensor], Tensor], batch: Any) -> Any:
    """The batch with `change` applied to each tensor that holds one entry per row.

    Rows are in dimension 0; those of a recurrent state, `[layers, rows, units]`, in dimension 1,
    and it is handed to `change` with its rows first, as are packed sequences, padded.

    >>> x, state = torch.ones(3, 5), torch.ones(2, 3, 4)
    >>> [tuple(part.shape) for part in map_rows(lambda rows: rows[:1], (x, state))]
    [(1, 5), (2, 1, 4)]
    """
    rows = rows_of(batch)

    def one(leaf: Any) -> Any:
        if is_packed(leaf) and packed_rows(leaf) == rows:
            return with_rows(change, leaf)
        if not isinstance(leaf, Tensor) or not leaf.ndim:
            return leaf
        if leaf.shape[0] == rows:
            return change(leaf)
        if leaf.ndim == 3 and leaf.shape[1] == rows:
            return change(leaf.transpose(0, 1)).transpose(0, 1).contiguous()
        return leaf

    return pytree.tree_map(one, _plain(batch), is_leaf=is_packed)


def one_more_row(batch: Any) -> Any:
    """The batch with its first row repeated at the end."""
    return map_rows(lambda x: torch.cat([x, x[:1]]), batch)


def one_more_column(batch: Any) -> Any:
    """Like `one_more_row`, for a batch that has time in dimension 0 and its rows in dimension 1."""
    columns = next(x.shape[1] for x in tensors_in(batch) if x.ndim > 1)

    def one(leaf: Any) -> Any:
        if is_packed(leaf) and packed_rows(leaf) == columns:
            return one_more_row(leaf)
        if not isinstance(leaf, Tensor) or not leaf.ndim:
            return leaf
        dim = min(leaf.ndim, 2) - 1
        if leaf.shape[dim] != columns:
            return leaf
        return torch.cat([leaf, leaf.narrow(dim, 0, 1)], dim)

    return pytree.tree_map(one, _plain(batch), is_leaf=is_packed)


def _plain(batch: Any) -> Any:
    # Tokenisers return mapping classes that the tree functions do not know.
    known = isinstance(batch, dict | tuple | list | Tensor)
    return dict(batch) if isinstance(batch, Mapping) and not known else batch


def _names(model: nn.Module) -> set[str] | None:
    parameters = inspect.signature(model.forward).parameters.values()
    if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters):
        return {p.name for p in parameters}
    inside = (getattr(model, name, None) for name in _WRAPPED)
    inner = next((one for one in inside if isinstance(one, nn.Module)), None)
    return None if inner is None else _names(inner)
