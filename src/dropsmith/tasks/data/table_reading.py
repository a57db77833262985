"""The reading of new tables: the columns of inputs, and how the training table was read."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

from annotated_types import MinLen
from typing_extensions import TypedDict

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.label_column import is_missing
from dropsmith.tasks.data.number_forms import DecimalSign
from dropsmith.tasks.data.table_numbers import NumberColumns
from dropsmith.tasks.data.tables import shown, table_rows


class StoredTableReading(TypedDict):
    """The reading of a table in JSON."""

    columns: Annotated[list[str], MinLen(1)]
    id_column: str | None
    delimiter: str | None
    encoding: str | None
    decimal: NotRequired[DecimalSign]


@dataclass(frozen=True, kw_only=True)
class TableReading:
    """The columns that are read of new tables, and how a table is read.

    Args:
        columns: of inputs, in order.
        id_column: whose values name the examples, or None.
        delimiter, encoding: of text files, where they are not to be found.
        decimal: the sign before the decimals of numbers that are written as text.
    """

    columns: tuple[str, ...]
    id_column: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    decimal: DecimalSign = "."

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `from_json` makes it again."""
        return asdict(self) | {"columns": list(self.columns)}

    @classmethod
    def from_json(cls, values: StoredTableReading) -> "TableReading":
        """The reading in checked JSON values."""
        return cls(
            columns=tuple(values["columns"]),
            id_column=values["id_column"],
            delimiter=values["delimiter"],
            encoding=values["encoding"],
            decimal=values.get("decimal", "."),
        )

    def rows(self, path: Path, bounds: Bounds) -> list[dict[str, Any]]:
        """The rows of a table; `DataError` where there are none."""
        rows = table_rows(path, bounds, delimiter=self.delimiter, encoding=self.encoding)
        read = [row for _, row in rows]
        if not read:
            raise DataError(f"no rows in {path}")
        return read

    def names(self, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """The name of each row: the value of the id column, else its number from 1."""
        ids = [None if self.id_column is None else row.get(self.id_column) for row in rows]
        return tuple(
            str(number) if is_missing(value) else str(value)
            for number, value in enumerate(ids, start=1)
        )

    def cells(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        blanks: Collection[str] = (),
        numbers: Collection[str] = (),
    ) -> list[tuple[str, ...]]:
        """The cells of the columns of each row, as text; numbers with a point.

        Args:
            rows: cells by the name of their column.
            blanks: the columns in which a cell may be missing.
            numbers: the columns of numbers.

        Raises:
            DataError: a row lacks a column, a cell is missing, or is no number where it should be.
        """
        columns = NumberColumns(names=frozenset(numbers), decimal=self.decimal)
        return [
            tuple(self._cell(row, column, number, blanks, columns) for column in self.columns)
            for number, row in enumerate(rows, start=1)
        ]

    def _cell(
        self,
        row: Mapping[str, Any],
        column: str,
        number: int,
        blanks: Collection[str],
        numbers: NumberColumns,
    ) -> str:
        if column not in row:
            raise DataError(
                f"row {number} has no column {column!r}\n  its columns are: {shown([*row])}"
            )
        cell = row[column]
        if column not in blanks and not isinstance(cell, str) and is_missing(cell):
            raise DataError(f"row {number} has nothing in the column {column!r}")
        text = numbers.text(column, cell)
        if text is None:
            raise numbers.fault(column, cell, f"row {number}")
        return "" if is_missing(text) else str(text).strip()
