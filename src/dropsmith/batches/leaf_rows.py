"""Rows of one leaf: counted, joined and taken along its axis.

The axis of a tensor is the dimension of its rows. It is 0 for packed sequences, with a sequence for
each row, and for lists with an entry for each row. It is None for a leaf without rows.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from dropsmith.batches.packed import join_sequences, packed_rows, take_sequences
from dropsmith.kernels import lazy_logits

Axis = int | None

_COMPRESSED = (torch.sparse_csr, torch.sparse_csc)
"""Layouts of matrices that torch neither joins nor takes rows of."""


def rows_along(leaf: Any, axis: int) -> int:
    """The number of rows of a leaf."""
    if isinstance(leaf, PackedSequence):
        return packed_rows(leaf)
    return len(leaf) if isinstance(leaf, list) else leaf.size(axis)


def join_rows(leaves: Sequence[Any], axis: Axis) -> Any:
    """The rows of all leaves, joined; the first leaf if they have no rows.

    >>> join_rows([torch.ones(2, 3), torch.zeros(1, 3)], 0).shape
    torch.Size([3, 3])
    """
    first = leaves[0]
    if axis is None:
        return first
    if isinstance(first, PackedSequence):
        return join_sequences(leaves)
    if isinstance(first, list):
        return [entry for leaf in leaves for entry in leaf]
    if first.is_nested:
        rows = [row for leaf in leaves for row in leaf.unbind()]
        return torch.nested.as_nested_tensor(rows, layout=first.layout)
    if first.layout in _COMPRESSED:
        joined = torch.cat([leaf.to_sparse_coo() for leaf in leaves], axis)
        return joined.to_sparse(layout=first.layout)
    return torch.cat(list(leaves), axis)


def repeat_rows(leaf: Any, axis: Axis, count: int) -> Any:
    """The rows of a leaf so many times after one another; a leaf without rows as it is.

    >>> repeat_rows(torch.arange(2), 0, 3).tolist()
    [0, 1, 0, 1, 0, 1]
    """
    if axis is None or not isinstance(leaf, Tensor) or leaf.is_nested:
        return join_rows([leaf] * count, axis)
    return leaf.repeat([count if dim == axis else 1 for dim in range(leaf.ndim)])


def take_rows(leaf: Any, axis: Axis, rows: Sequence[int] | slice) -> Any:
    """Some rows of a leaf, by indices or a slice."""
    if axis is None:
        return leaf
    numbers = list(range(rows_along(leaf, axis))[rows]) if isinstance(rows, slice) else list(rows)
    if isinstance(leaf, PackedSequence):
        return take_sequences(leaf, numbers)
    if isinstance(leaf, list):
        return [leaf[number] for number in numbers]
    if leaf.is_nested:
        parts = leaf.unbind()
        return torch.nested.as_nested_tensor([parts[n] for n in numbers], layout=leaf.layout)
    if isinstance(rows, slice) and leaf.layout == torch.strided:
        start, stop, _ = rows.indices(leaf.shape[axis])
        return leaf.narrow(axis, start, stop - start)
    index = torch.tensor(numbers, device=leaf.device)
    if leaf.layout in _COMPRESSED:
        return leaf.to_sparse_coo().index_select(axis, index).to_sparse(layout=leaf.layout)
    return leaf.index_select(axis, index)


def split(leaf: Any, axis: Axis, sizes: Sequence[int]) -> list[Any]:
    """The parts of a leaf from a pass over several views, one for each view.

    A leaf with several entries for each row, such as flattened tokens, is split in proportion.

    Raises:
        ValueError: its size along the axis is not a multiple of the rows.
    """
    if axis is None:
        return [leaf] * len(sizes)
    # Views of equal size have equally many entries, however many a row has.
    parts = [1] * len(sizes) if len(set(sizes)) == 1 else sizes
    times, rest = divmod(rows_along(leaf, axis), sum(parts))
    if rest:
        raise ValueError(f"{rows_along(leaf, axis)} entries for {sum(sizes)} rows")
    shares = [part * times for part in parts]
    if isinstance(leaf, lazy_logits.LazyLogits) and leaf.is_pending:
        return list(leaf.cut(shares, axis))
    if isinstance(leaf, Tensor) and leaf.layout == torch.strided and not leaf.is_nested:
        return list(leaf.split(shares, axis))
    starts = [sum(shares[:view]) for view in range(len(shares))]
    return [
        take_rows(leaf, axis, slice(start, start + share))
        for start, share in zip(starts, shares, strict=True)
    ]
