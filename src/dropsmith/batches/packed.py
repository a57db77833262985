"""Rows of packed sequences: unpacked, changed and packed again, in their original order."""

from collections.abc import Callable, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pad_packed_sequence,
    pad_sequence,
)


def is_packed(value: Any) -> TypeGuard[PackedSequence]:
    """Say whether a value is a `PackedSequence`, whose first tensor has steps, not rows."""
    return isinstance(value, PackedSequence)


def packed_rows(packed: PackedSequence) -> int:
    """The number of packed sequences."""
    return int(packed.batch_sizes[0])


def with_rows(change: Callable[[Tensor], Tensor], packed: PackedSequence) -> PackedSequence:
    """The sequences after `change`, a function of a tensor with one entry for each.

    >>> from torch.nn.utils.rnn import pack_sequence
    >>> packed = pack_sequence([torch.ones(3, 2), torch.ones(1, 2)])
    >>> with_rows(lambda rows: rows[1:], packed).data.shape
    torch.Size([1, 2])
    """
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    rows, row_lengths = change(padded), change(lengths)
    return pack_padded_sequence(rows, row_lengths, batch_first=True, enforce_sorted=False)


def join_sequences(parts: Sequence[PackedSequence]) -> PackedSequence:
    """The sequences of all parts, joined."""
    padded, lengths = zip(*(pad_packed_sequence(p, batch_first=True) for p in parts), strict=True)
    rows = pad_sequence([row for part in padded for row in part], batch_first=True)
    return pack_padded_sequence(rows, torch.cat(lengths), batch_first=True, enforce_sorted=False)


def take_sequences(packed: PackedSequence, numbers: Sequence[int]) -> PackedSequence:
    """Some of the sequences, by indices."""
    return with_rows(lambda rows: rows[list(numbers)], packed)
