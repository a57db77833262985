"""Packed sequences by their rows: padded, changed and packed again, in the order they came in."""

from collections.abc import Callable
from typing import Any, TypeGuard

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils import _pytree as pytree


def is_packed(value: Any) -> TypeGuard[PackedSequence]:
    """Whether this is a `PackedSequence`, a tuple whose first tensor counts steps and not rows."""
    return isinstance(value, PackedSequence)


def has_packed(batch: Any) -> bool:
    """Whether any part of a batch is packed."""
    return any(map(is_packed, pytree.tree_leaves(batch, is_leaf=is_packed)))


def packed_rows(packed: PackedSequence) -> int:
    """How many sequences are packed."""
    return int(packed.batch_sizes[0])


def with_rows(change: Callable[[Tensor], Tensor], packed: PackedSequence) -> PackedSequence:
    """The sequences after `change`, which is handed a tensor with one entry for each.

    >>> from torch.nn.utils.rnn import pack_sequence
    >>> import torch
    >>> packed = pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    >>> with_rows(lambda rows: rows[1:], packed).data.shape
    torch.Size([1, 2])
    """
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    rows, their_lengths = change(padded), change(lengths)
    return pack_padded_sequence(rows, their_lengths, batch_first=True, enforce_sorted=False)
