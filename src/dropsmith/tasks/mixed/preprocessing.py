"""The steps from rows of texts, numbers and categories to the columns of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.errors import DataError
from dropsmith.files import check
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.part import Part, Split
from dropsmith.tasks.data.preprocessing import Inputs, Preprocessing
from dropsmith.tasks.data.vocabulary import Vocabulary
from dropsmith.tasks.numbers.preprocessing import NumbersPreprocessing
from dropsmith.tasks.text.preprocessing import TextPreprocessing, TextTablePreprocessing
from dropsmith.tasks.text.token_preprocessing import TokenPreprocessing

_TEXTS: tuple[type[TextTablePreprocessing], ...] = (TextPreprocessing, TokenPreprocessing)


class StoredMixedPreprocessing(TypedDict):
    """Preprocessing of texts beside numbers in JSON."""

    kind: Literal["mixed"]
    input: str | None
    text: dict[str, Any]
    numbers: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class MixedPreprocessing(Preprocessing):
    """The columns of texts and those of numbers and categories, of the same rows.

    Args:
        text: of the columns of texts.
        numbers: of the columns of numbers and categories.
    """

    kind = "mixed"

    text: TextTablePreprocessing
    numbers: NumbersPreprocessing

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The words of the training texts; None of a pretrained model."""
        return self.text.vocabulary if isinstance(self.text, TextPreprocessing) else None

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "input": self.input,
            "text": self.text.to_json(),
            "numbers": self.numbers.to_json(),
        }

    @classmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        stored = check(values, StoredMixedPreprocessing)
        kinds = {text_class.kind: text_class for text_class in _TEXTS}
        text_class = kinds.get(stored["text"].get("kind", ""))
        if text_class is None:
            raise DataError(f"field text is of one of the kinds {', '.join(kinds)}")
        return cls(
            input=stored["input"],
            text=text_class.from_json(stored["text"], folder),
            numbers=NumbersPreprocessing.from_json(stored["numbers"], folder),
        )

    def save_files(self, folder: Path) -> None:
        self.text.save_files(folder)

    def read(self, source: Path, bounds: Bounds = USUAL) -> Inputs:
        return self.inputs(self.text.reading.rows(source, bounds))

    def inputs(self, rows: Sequence[Mapping[str, Any]]) -> Inputs:
        texts, cells = self.text.row_texts(rows), self.numbers.row_texts(rows)
        reading = self.text.reading
        return Inputs(
            names=reading.names(rows),
            part=self.split(texts, cells),
            labels=self.text.label.of_rows(rows, reading.decimal),
            texts=tuple(" | ".join((*t, *c)) for t, c in zip(texts, cells, strict=True)),
        )

    def split(
        self,
        texts: Sequence[tuple[str, ...]],
        cells: Sequence[tuple[str, ...]],
        labels: Tensor | None = None,
    ) -> Split:
        """The columns of the texts, `features`, and labels where there are some.

        Args:
            texts: as `row_texts` of the text returns them.
            cells: as that of the numbers returns them.
            labels: a number for each row.
        """
        text, numbers = self.text.split(texts), self.numbers.split(cells)
        columns = {**text.columns, **numbers.columns}
        return replace(text, columns=columns if labels is None else columns | {"labels": labels})

    def example(self) -> Part:
        row = self.text.example().tensors()
        width = torch.zeros(1, self.numbers.width)
        return Split({**row, "features": width}, padded_columns=tuple(row))

    def with_reading(self, **changes: Any) -> Self:
        """The same for tables of another delimiter, encoding, decimal sign or id column."""
        return replace(
            self,
            text=self.text.with_reading(**changes),
            numbers=self.numbers.with_reading(**changes),
        )
