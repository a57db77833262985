"""The steps from the rows of a table to numbers of words, for the small Transformer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from annotated_types import Ge, Le, MinLen
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.files import check
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.table_preprocessing import (
    StoredTablePreprocessing,
    TablePreprocessing,
    table_fields,
)
from dropsmith.tasks.data.vocabulary import UNKNOWN_WORD, Vocabulary, tokenise

COLUMNS = ("tokens", "second")
"""Names of the sentences of an example, in order."""


class StoredTextPreprocessing(StoredTablePreprocessing):
    """Text preprocessing in JSON."""

    kind: Literal["text"]
    words: Annotated[list[str], MinLen(2)]
    length: Annotated[int, Ge(1), Le(1_000_000)]


@dataclass(frozen=True, kw_only=True)
class TextTablePreprocessing(TablePreprocessing):
    """The steps from tables of texts, or of pairs of texts where two columns are read."""

    @property
    def is_paired(self) -> bool:
        """True if an example is a pair of texts."""
        return len(self.reading.columns) == 2

    @property
    def row_width(self) -> int:
        return 2 if self.is_paired else 1

    def row_texts(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
        return [sentences_of(row, self.is_paired) for row in self.reading.cells(rows)]


@dataclass(frozen=True, kw_only=True)
class TextPreprocessing(TextTablePreprocessing):
    """Words by their numbers, the first `length` of each text.

    Args:
        reading: the columns of texts, and how a table is read.
        label: the column of labels.
        vocabulary: the words of the training texts.
        length: words kept of a text.
    """

    kind = "text"

    vocabulary: Vocabulary
    length: int

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {
            "words": list(self.vocabulary.words),
            "length": self.length,
        }

    @classmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        stored = check(values, StoredTextPreprocessing)
        if UNKNOWN_WORD not in stored["words"]:
            raise DataError(f"field words lacks {UNKNOWN_WORD!r}, for a word that is not in it")
        return cls(
            **table_fields(stored),
            vocabulary=Vocabulary(tuple(stored["words"])),
            length=stored["length"],
        )

    def split(self, texts: Sequence[tuple[str, ...]], labels: Tensor | None = None) -> Split:
        """Columns of word numbers, and of labels where there are some."""
        by_column = list(zip(*texts, strict=True)) or [()] * self.row_width
        columns = {
            name: _padded([self._ids(text) for text in column])
            for name, column in zip(COLUMNS, by_column, strict=False)
        }
        labelled = columns if labels is None else columns | {"labels": labels}
        return Split(labelled, padded_columns=tuple(columns), unit=self.label.unit)

    def _ids(self, text: str) -> list[int]:
        return self.vocabulary.ids(tokenise(text)[: self.length])


def sentences_of(cells: Sequence[str], paired: bool) -> tuple[str, ...]:
    """The texts of an example: those of a pair, or all cells as one.

    >>> sentences_of(("a title", "its author", "the text"), False)
    ('a title its author the text',)
    """
    return tuple(cells) if paired else (" ".join(cells),)


def _padded(numbers: Sequence[Sequence[int]]) -> Tensor:
    tokens = torch.zeros(len(numbers), max(1, *map(len, numbers)), dtype=torch.long)
    for row, ids in zip(tokens, numbers, strict=True):
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return tokens
