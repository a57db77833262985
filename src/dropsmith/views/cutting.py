"""What a pass over the rows of several views has returned, cut by view."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree

from dropsmith.kernels.lazy_logits import LazyLogits
from dropsmith.sites.packed import is_packed, packed_rows, with_rows


def cut(output: Any, sizes: list[int], shared: int | None = None) -> tuple[Any, ...]:
    """What a stacked pass returned, once for each view; what has no rows goes to every view.

    Args:
        output: of one pass over all views.
        sizes: how many rows each view has.
        shared: how many rows that belongs to all views has, or None where nothing does.
    """
    leaves, spec = pytree.tree_flatten(output, is_leaf=is_packed)
    parts = [_cut_leaf(leaf, sizes, shared) for leaf in leaves]
    return tuple(
        pytree.tree_unflatten([part[view] for part in parts], spec) for view in range(len(sizes))
    )


def _cut_leaf(leaf: Any, sizes: list[int], shared: int | None) -> list[Any]:
    if is_packed(leaf) and packed_rows(leaf) == sum(sizes):
        return [with_rows(lambda x, i=i: x.split(sizes)[i], leaf) for i in range(len(sizes))]
    if isinstance(leaf, Tensor) and not (leaf.ndim and leaf.shape[0] == shared):
        # Recurrent states have their rows in dimension 1.
        for dim in range(min(leaf.ndim, 2)):
            if leaf.shape[dim] == sum(sizes):
                if isinstance(leaf, LazyLogits) and leaf.not_materialised:
                    return list(leaf.cut(sizes, dim))
                return list(leaf.split(sizes, dim))
    if is_dataclass(leaf) and not isinstance(leaf, type):
        parts = {
            field.name: cut(getattr(leaf, field.name), sizes, shared) for field in fields(leaf)
        }
        return [replace(leaf, **{k: v[i] for k, v in parts.items()}) for i in range(len(sizes))]
    return [leaf] * len(sizes)
