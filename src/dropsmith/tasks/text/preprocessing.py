"""The steps from the rows of a table to numbers of words, for the small Transformer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from annotated_types import Ge, Le, MinLen
from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.errors import DataError
from dropsmith.files import check
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.label_column import LabelColumn, StoredLabelColumn, is_missing
from dropsmith.tasks.data.part import Part, Split
from dropsmith.tasks.data.preprocessing import Inputs, Preprocessing
from dropsmith.tasks.data.tables import table_rows
from dropsmith.tasks.data.vocabulary import Vocabulary, tokenise

COLUMNS = ("tokens", "second")
"""Names of the sentences of an example, in order."""


class StoredTextPreprocessing(TypedDict):
    """Text preprocessing in JSON."""

    kind: Literal["text"]
    input: str | None
    columns: Annotated[list[str], MinLen(1)]
    label: StoredLabelColumn
    id_column: str | None
    words: Annotated[list[str], MinLen(2)]
    length: Annotated[int, Ge(1), Le(1_000_000)]


@dataclass(frozen=True, kw_only=True)
class TextPreprocessing(Preprocessing):
    """Words by their numbers, the first `length` of each text.

    Args:
        columns: of the texts in a table, one or two.
        label: the column of labels.
        id_column: whose values name the examples, or None.
        vocabulary: the words of the training texts.
        length: words kept of a text.
    """

    kind = "text"

    columns: tuple[str, ...]
    label: LabelColumn
    vocabulary: Vocabulary
    length: int
    id_column: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "input": self.input,
            "columns": list(self.columns),
            "label": self.label.to_json(),
            "id_column": self.id_column,
            "words": list(self.vocabulary.words),
            "length": self.length,
        }

    @classmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        stored = check(values, StoredTextPreprocessing)
        return cls(
            input=stored["input"],
            columns=tuple(stored["columns"]),
            label=LabelColumn.from_json(stored["label"]),
            id_column=stored["id_column"],
            vocabulary=Vocabulary(tuple(stored["words"])),
            length=stored["length"],
        )

    def read(self, source: Path, bounds: Bounds = USUAL) -> Inputs:
        rows = [row for _, row in table_rows(source, bounds)]
        if not rows:
            raise DataError(f"no rows in {source}")
        return self.inputs(rows)

    def inputs(self, rows: Sequence[Mapping[str, Any]]) -> Inputs:
        names = tuple(self._name(row, number) for number, row in enumerate(rows, start=1))
        texts = [self._texts(row, number) for number, row in enumerate(rows, start=1)]
        part = self.with_input_name(self.split(texts))
        return Inputs(names=names, part=part, labels=self.label.of_rows(rows))

    def example(self) -> Part:
        return self.with_input_name(self.split([("",) * len(self.columns)]))

    def split(self, texts: Sequence[Sequence[str]], labels: Tensor | None = None) -> Split:
        """Columns of word numbers, and of labels where there are some."""
        columns = {
            name: _padded([self._ids(text) for text in column])
            for name, column in zip(COLUMNS, zip(*texts, strict=True), strict=False)
        }
        labelled = columns if labels is None else columns | {"labels": labels}
        return Split(labelled, padded_columns=tuple(columns), unit=self.label.unit)

    def _ids(self, text: str) -> list[int]:
        return self.vocabulary.ids(tokenise(text)[: self.length])

    def _name(self, row: Mapping[str, Any], number: int) -> str:
        value = row.get(self.id_column) if self.id_column is not None else None
        return str(number) if is_missing(value) else str(value)

    def _texts(self, row: Mapping[str, Any], number: int) -> tuple[str, ...]:
        for column in self.columns:
            if column not in row or row[column] is None:
                raise DataError(
                    f"row {number} has no {column!r}\n  its columns are: {', '.join(map(str, row))}"
                )
        return tuple(str(row[column]).strip() for column in self.columns)


def _padded(numbers: Sequence[Sequence[int]]) -> Tensor:
    tokens = torch.zeros(len(numbers), max(1, *map(len, numbers)), dtype=torch.long)
    for row, ids in zip(tokens, numbers, strict=True):
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return tokens
