"""A part of the data that is pairs of texts, of which the second is written from the first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.models import small_seq2seq
from dropsmith.rng import Key, bits
from dropsmith.tasks.data.part import Batch, Part, row_lengths
from dropsmith.tasks.data.selection import rows_at
from dropsmith.tasks.language.stream import IGNORE_INDEX

ROWS = 64
"""Pairs that are scored at a time, at most: each has as many scores as tokens times the words."""


@dataclass(frozen=True, eq=False)
class Sequences(Part):
    """Source and target of each pair, in batches of pairs that are about equally long.

    An example is a pair. For a step, `batch_size` counts tokens: a batch holds as many pairs as
    fit, each as wide as the widest text among them, so that little of it is padding. Within an
    epoch every pair is seen once.

    >>> pairs = Sequences.of([[7, 8], [9]], [[5], [6, 7, 8]])
    >>> {name: column.tolist() for name, column in pairs.rows(slice(0, 1)).items()}
    {'source': [[7, 8, 2]], 'target': [[1, 5]], 'labels': [[5, 2]]}
    >>> pairs.batch(1, seed=0, batch_size=6).columns["labels"].shape
    torch.Size([1, 2])

    Args:
        source: `[pairs, time]`, each ended by `END` and padded.
        target: `[pairs, time]`, each begun by `BEGIN`, ended by `END` and padded.
        references: what a written target is compared with: one or more texts for each pair.
        pad: the token that rows are filled up with.
    """

    source: Tensor
    target: Tensor
    references: tuple[tuple[str, ...], ...] = ()
    pad: int = small_seq2seq.PAD

    @classmethod
    def of(
        cls,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        references: Sequence[tuple[str, ...]] = (),
    ) -> "Sequences":
        """Pairs of token numbers without beginnings and ends; `DataError` where there are none."""
        if not sources:
            raise DataError("there are no pairs of texts")
        return cls(
            pad_rows([[*tokens, small_seq2seq.END] for tokens in sources]),
            pad_rows([[small_seq2seq.BEGIN, *tokens, small_seq2seq.END] for tokens in targets]),
            tuple(references),
        )

    @property
    def lengths(self) -> Tensor:
        """Tokens of the longer text of each pair, ends included."""
        return torch.maximum(
            row_lengths(self.source, self.pad), row_lengths(self.target, self.pad) - 1
        )

    def tensors(self) -> Mapping[str, Tensor]:
        return {"source": self.source, "target": self.target}

    def __len__(self) -> int:
        return len(self.source)

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        source, target = (
            rows[:, : int(row_lengths(rows, self.pad).max())]
            for rows in (self.source[index], self.target[index])
        )
        labels = target[:, 1:].masked_fill(target[:, 1:] == self.pad, IGNORE_INDEX)
        return {"source": source, "target": target[:, :-1], "labels": labels}

    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        return Batch(columns=self.rows(self._at(step, seed, batch_size)))

    def count_examples(self, step: int, *, seed: int, batch_size: int, share: float = 1.0) -> int:
        return ceil(len(self._at(step, seed, batch_size)) * share)

    def batches(self, rows: int) -> Iterator[Batch]:
        for start in range(0, len(self), min(rows, ROWS)):
            yield Batch(columns=self.rows(slice(start, start + min(rows, ROWS))))

    def rename_input(self, name: str) -> "Sequences":
        raise DataError("pairs of texts have two inputs: forward(source, target)")

    def _at(self, step: int, seed: int, batch_size: int) -> Tensor:
        """The rows of a step."""
        count = len(_sizes(self, batch_size))
        epoch, place = divmod(step - 1, count)
        return _epoch(self, batch_size, seed, epoch)[place]


@lru_cache(maxsize=8)
def _sizes(pairs: Sequences, batch_size: int) -> list[int]:
    """The number of pairs in each batch of an epoch, from the shortest to the longest.

    Every epoch has the same lengths in order, so it is cut at the same places.
    """
    sizes, rows = [], 0
    for length in pairs.lengths.sort().values.tolist():
        if rows and (rows + 1) * length > batch_size:
            sizes.append(rows)
            rows = 0
        rows += 1
    return [*sizes, rows]


@lru_cache(maxsize=4)
def _epoch(pairs: Sequences, batch_size: int, seed: int, epoch: int) -> list[Tensor]:
    """The rows of each batch of an epoch, in the order they are taken."""
    sizes, count = _sizes(pairs, batch_size), len(pairs)
    # Pairs of one length stand in a new order every epoch, and so do the batches.
    order = rows_at(epoch + 1, seed=seed, batch_size=count, examples=count)
    order = order[pairs.lengths[order].argsort(stable=True)]
    cut = order.split(sizes)
    turns = bits(Key.of(seed).fold(epoch, 1), torch.arange(len(sizes), dtype=torch.int32))
    return [cut[place] for place in turns.argsort(stable=True).tolist()]


def pad_rows(rows: Sequence[Sequence[int]], pad: int = small_seq2seq.PAD) -> Tensor:
    """Rows of numbers as one tensor, the shorter ones filled up with `pad`."""
    tokens = torch.full((len(rows), max(map(len, rows))), pad, dtype=torch.long)
    for row, ids in zip(tokens, rows, strict=True):
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return tokens


def pair_length_note(sizes: Sequence[Sequence[int]], most: Sequence[int]) -> tuple[str, str]:
    """The fact about the tokens that are kept of sources and targets, and the shares that are cut.

    >>> print(pair_length_note(([3, 5, 70, 7], [2, 2, 2, 2]), (9, 9))[1])
    the first 9 tokens are kept; 25.0 % of the training sources and 0.0 % of the targets are longer

    Args:
        sizes: tokens of each source, and of each target, marks of begin and end among them.
        most: tokens that are kept of a source, and of a target.
    """
    shares = [
        100 * sum(size > length for size in of_texts) / max(1, len(of_texts))
        for of_texts, length in zip(sizes, most, strict=True)
    ]
    kept = f"{most[0]} tokens"
    if most[0] != most[1]:
        kept = f"{most[0]} tokens of a source and {most[1]} of a target"
    longer = "none is longer"
    if any(shares):
        longer = (
            f"{shares[0]:.1f} % of the training sources and {shares[1]:.1f} % of the targets "
            "are longer"
        )
    return "text length", f"the first {kept} are kept; {longer}"
