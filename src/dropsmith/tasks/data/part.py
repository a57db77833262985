"""A part of the data as training and evaluation see it: numbered steps, and all of it in order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from dropsmith.errors import TaskError
from dropsmith.tasks.data.selection import rows_at


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some examples, and how they hang together with those before.

    Args:
        columns: what the model's forward takes, by argument name, and `labels`.
        continues: whether its rows go on where those of the batch before ended, so that what the
            model carries from one to the next is handed over; else it starts from nothing.
        pace: what the learning rate of a step on it is multiplied by.
        second: what a second view sees in place of these: the leading rows, which have no label,
            changed. None where every view sees the same.
    """

    columns: dict[str, Tensor]
    continues: bool = False
    pace: float = 1.0
    second: dict[str, Tensor] | None = None


class Part(ABC):
    """The examples of training, validation or test; `len` counts them.

    `unit` is what one unit of the labels is in the data's own, where labels were scaled.
    """

    unit: float = 1.0

    @abstractmethod
    def tensors(self) -> Mapping[str, Tensor]:
        """All of it by name."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        """Some examples by themselves, to look at or to find a model's sites with."""

    @abstractmethod
    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        """The batch of training step `step` (from 1): a function of its arguments."""

    @abstractmethod
    def count_examples(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        """The number of examples in the leading `share` of the rows of that batch."""

    def count_labelled(self, step: int, *, seed: int, batch_size: int) -> int:
        """The number of examples of that batch that have a label: by default all of them."""
        return self.count_examples(step, seed=seed, batch_size=batch_size)

    def count_second(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        """The number of examples that a second view of that batch sees."""
        return self.count_examples(step, seed=seed, batch_size=batch_size, share=share)

    @abstractmethod
    def batches(self, rows: int) -> Iterator[Batch]:
        """Every example once, in order, about `rows` rows at a time."""

    @abstractmethod
    def rename_input(self, name: str) -> "Part":
        """The same examples for a model that calls its one input `name`."""

    def select(self, index: Tensor) -> "Part":
        """Some of the examples, by their numbers, seen as these are.

        Raises:
            TaskError: they are no rows that can be chosen.
        """
        raise TaskError(
            f"some examples of a {type(self).__name__} cannot be chosen by their labels\n"
            "  leave out labels"
        )

    def concatenate(self, part: "Part") -> "Part":
        """These examples and then those of another part, seen as these are.

        Raises:
            TaskError: they are no rows that can stand below each other.
        """
        raise TaskError(
            f"examples of a {type(self).__name__} cannot be joined with those of another part\n"
            "  train on one part: whole=False"
        )


class RowPart(Part):
    """Examples as rows: a batch has the next rows of one permutation after another."""

    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        """The next rows of one permutation after another; see `rows_at`."""
        rows = rows_at(step, seed=seed, batch_size=batch_size, examples=len(self))
        return Batch(columns=self.rows(rows))

    def count_examples(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        return ceil(min(batch_size, len(self)) * share)

    def batches(self, rows: int) -> Iterator[Batch]:
        for start in range(0, len(self), rows):
            yield Batch(columns=self.rows(slice(start, start + rows)))


@dataclass(frozen=True)
class Split(RowPart):
    """Aligned columns: row i of every tensor belongs to example i.

    >>> import torch
    >>> texts = Split({"tokens": torch.tensor([[5, 6, 7], [8, 0, 0]])}, padded_columns=("tokens",))
    >>> texts.rows(slice(1, 2))
    {'tokens': tensor([[8]])}

    Args:
        columns: what the model's forward takes, by argument name, and `labels`.
        padded_columns: columns whose rows are filled up with zeros; a batch keeps no more of them
            than its longest row needs.
        unit: what one unit of `labels` is in the data's own, where they were scaled.
        equal_widths: whether a batch keeps as much of one padded column as of any other.
    """

    columns: Mapping[str, Tensor]
    padded_columns: tuple[str, ...] = ()
    unit: float = 1.0
    equal_widths: bool = False

    def tensors(self) -> Mapping[str, Tensor]:
        return self.columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        """The batch that holds these rows."""
        batch = {name: column[index] for name, column in self.columns.items()}
        widths = {name: _width(batch[name]) for name in self.padded_columns}
        if self.equal_widths:
            widths = dict.fromkeys(widths, max(widths.values()))
        return batch | {name: batch[name][:, :width] for name, width in widths.items()}

    def rename_input(self, name: str) -> "Split":
        columns = {key if key == "labels" else name: column for key, column in self.columns.items()}
        return replace(
            self, columns=columns, padded_columns=tuple(name for _ in self.padded_columns)
        )

    def select(self, index: Tensor) -> "Split":
        columns = {name: column[index] for name, column in self.columns.items()}
        return replace(self, columns=columns)

    def concatenate(self, part: Part) -> "Split":
        tail = part.tensors()
        columns = {
            name: _stack_rows(column, tail[name], name in self.padded_columns)
            for name, column in self.columns.items()
        }
        return replace(self, columns=columns)


def _stack_rows(first: Tensor, second: Tensor, pad: bool) -> Tensor:
    if not pad:
        return torch.cat([first, second])
    width = max(first.shape[1], second.shape[1])
    return torch.cat([F.pad(rows, (0, width - rows.shape[1])) for rows in (first, second)])


def row_lengths(rows: Tensor, pad: int = 0) -> Tensor:
    """The length of each row without its padding: a text may begin with that token, too.

    >>> row_lengths(torch.tensor([[5, 0, 7], [0, 6, 0]])).tolist()
    [3, 2]
    """
    return ((rows != pad) * torch.arange(1, rows.shape[1] + 1)).max(1).values


def _width(rows: Tensor) -> int:
    return int((rows != 0).any(0).nonzero().max()) + 1 if bool(rows.any()) else 1
