"""Training batches of rows that are about equally long, so that little of them is padding."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

import torch
from torch import Tensor

from dropsmith.errors import TaskError
from dropsmith.rng import Key, bits
from dropsmith.tasks.data.part import Batch, Part, Split, row_lengths
from dropsmith.tasks.data.selection import rows_at

BATCHES = 50
"""The batches that are cut from one sorted group: fewer leave more padding, more less chance."""


@dataclass(frozen=True, eq=False)
class LengthGroups(Part):
    """Rows of a split in batches by length; every row is seen once an epoch.

    A permutation of the rows is cut into groups of 50 batches. The rows of a group are sorted by
    length and cut into batches of nearly equal size, which are taken in an order of chance.

    >>> tokens = torch.tensor([[1, 2, 3], [4, 0, 0], [5, 0, 0], [6, 7, 8]])
    >>> part = LengthGroups(Split({"tokens": tokens}, padded_columns=("tokens",)))
    >>> sorted(part.batch(step, seed=0, batch_size=2).columns["tokens"].shape[1] for step in (1, 2))
    [1, 3]

    Args:
        split: the rows, with padded columns.
    """

    split: Split

    @property
    def unit(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride] - of its split
        return self.split.unit

    def tensors(self) -> Mapping[str, Tensor]:
        return self.split.tensors()

    def __len__(self) -> int:
        return len(self.split)

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        return self.split.rows(index)

    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        return Batch(columns=self.rows(self._at(step, seed, batch_size)))

    def count_examples(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        return ceil(len(self._at(step, seed, batch_size)) * share)

    def batches(self, rows: int) -> Iterator[Batch]:
        return self.split.batches(rows)

    def rename_input(self, name: str) -> "LengthGroups":
        return replace(self, split=self.split.rename_input(name))

    def _at(self, step: int, seed: int, batch_size: int) -> Tensor:
        """The rows of a step."""
        epoch, place = divmod(step - 1, _batches_in_epoch(len(self), batch_size))
        return _epoch(self, seed, epoch, batch_size)[place]


def group_by_length(part: Part) -> LengthGroups:
    """The same examples in batches of about equal length.

    Raises:
        TaskError: the part has no rows that are filled up, or makes batches in a way of its own.
    """
    if not isinstance(part, Split) or not part.padded_columns:
        raise TaskError(
            "only rows that are padded to a common length are grouped by length, and those of "
            f"this task are a {type(part).__name__}\n"
            "  leave --batches out; pairs of texts that are written stand by length anyway"
        )
    return LengthGroups(part)


@lru_cache(maxsize=4)
def _lengths(part: LengthGroups) -> Tensor:
    """The columns that each row needs, of the padded column that needs most."""
    lengths = torch.zeros(len(part), dtype=torch.long)
    for name in part.split.padded_columns:
        lengths = torch.maximum(lengths, row_lengths(part.split.columns[name]))
    return lengths


def _batches_in_epoch(examples: int, batch_size: int) -> int:
    groups, rest = divmod(examples, BATCHES * batch_size)
    return groups * BATCHES + ceil(rest / batch_size)


@lru_cache(maxsize=4)
def _epoch(part: LengthGroups, seed: int, epoch: int, batch_size: int) -> list[Tensor]:
    """The rows of each batch of an epoch, in the order they are taken."""
    count, batches = len(part), []
    order = rows_at(epoch + 1, seed=seed, batch_size=count, examples=count)
    for number, group in enumerate(order.split(BATCHES * batch_size)):
        by_length = group[_lengths(part)[group].argsort(stable=True)]
        cut = by_length.tensor_split(ceil(len(group) / batch_size))
        key = Key.of(seed).fold(epoch, number, 1)
        turns = bits(key, torch.arange(len(cut), dtype=torch.int32)).argsort(stable=True)
        batches += [cut[place] for place in turns.tolist()]
    return batches
