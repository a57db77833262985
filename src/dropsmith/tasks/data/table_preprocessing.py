"""The preprocessing of tables, whatever a model is given of their rows."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.label_column import LabelColumn, StoredLabelColumn
from dropsmith.tasks.data.part import Part, Split
from dropsmith.tasks.data.preprocessing import Inputs, Preprocessing
from dropsmith.tasks.data.table_reading import StoredTableReading, TableReading


class StoredTablePreprocessing(TypedDict):
    """What the preprocessing of every table has in JSON."""

    input: str | None
    reading: StoredTableReading
    label: StoredLabelColumn


@dataclass(frozen=True, kw_only=True)
class TablePreprocessing(Preprocessing):
    """The steps from the rows of a table.

    Args:
        reading: the columns of inputs, and how a table is read.
        label: the column of labels.
    """

    reading: TableReading
    label: LabelColumn

    @abstractmethod
    def split(self, texts: Sequence[tuple[str, ...]], labels: Tensor | None = None) -> Split:
        """The model's columns, and that of labels where there are some.

        Args:
            texts: as `row_texts` returns them.
            labels: a number for each.
        """

    @property
    def row_width(self) -> int:
        """How many texts `split` takes of a row."""
        return len(self.reading.columns)

    def row_texts(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
        """The texts of each row; `DataError` where one lacks a column or a cell."""
        return self.reading.cells(rows)

    def read(self, source: Path, bounds: Bounds = USUAL) -> Inputs:
        return self.inputs(self.reading.rows(source, bounds))

    def inputs(self, rows: Sequence[Mapping[str, Any]]) -> Inputs:
        cells = self.row_texts(rows)
        return Inputs(
            names=self.reading.names(rows),
            part=self.with_input_name(self.split(cells)),
            labels=self.label.of_rows(rows, self.reading.decimal),
            texts=tuple(" | ".join(row) for row in cells),
        )

    def with_reading(self, **changes: Any) -> Self:
        """The same for tables of another delimiter, encoding, decimal sign or id column."""
        return replace(self, reading=replace(self.reading, **changes))

    def example(self) -> Part:
        return self.with_input_name(self.split([("",) * self.row_width]))

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "input": self.input,
            "reading": self.reading.to_json(),
            "label": self.label.to_json(),
        }


def table_fields(stored: StoredTablePreprocessing) -> dict[str, Any]:
    """The fields of `TablePreprocessing` in checked JSON values."""
    return {
        "input": stored["input"],
        "reading": TableReading.from_json(stored["reading"]),
        "label": LabelColumn.from_json(stored["label"]),
    }
