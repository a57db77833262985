"""A batch as a model takes it: a tensor, a tuple of arguments or a mapping of them by name."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.errors import ViewError


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
    if isinstance(batch, tuple | list):
        return tuple(batch), {}
    return (batch,), {}


def rows_of(batch: Any) -> int:
    """How many rows a batch has: the size of dimension 0 of its first tensor.

    >>> rows_of({"x": torch.ones(3, 2)})
    3
    """
    for leaf in pytree.tree_leaves(batch):
        if isinstance(leaf, Tensor) and leaf.ndim:
            return leaf.shape[0]
    raise ViewError(f"found no tensor with rows in the batch, a {type(batch).__name__}")


def map_rows(change: Callable[[Tensor], Tensor], batch: Any) -> Any:
    """The batch with `change` applied to each tensor that holds one entry per row."""
    rows = rows_of(batch)

    def one(leaf: Any) -> Any:
        whole = isinstance(leaf, Tensor) and leaf.ndim > 0 and leaf.shape[0] == rows
        return change(leaf) if whole else leaf

    return pytree.tree_map(one, _plain(batch))


def one_more_row(batch: Any) -> Any:
    """The batch with its first row repeated at the end."""
    return map_rows(lambda x: torch.cat([x, x[:1]]), batch)


def _plain(batch: Any) -> Any:
    # Tokenisers return mapping classes that the tree functions do not know.
    known = isinstance(batch, dict | tuple | list | Tensor)
    return dict(batch) if isinstance(batch, Mapping) and not known else batch


def _names(model: nn.Module) -> set[str] | None:
    inner = model
    while isinstance(getattr(inner, "module", None), nn.Module):
        inner = inner.module
    parameters = inspect.signature(inner.forward).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters):
        return None
    return {p.name for p in parameters}
