"""The reading of new tables: the columns of inputs, and how the training table was read."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from typing_extensions import TypedDict

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.label_column import is_missing
from dropsmith.tasks.data.tables import shown, table_rows


class StoredTableReading(TypedDict):
    """The reading of a table in JSON."""

    columns: Annotated[list[str], MinLen(1)]
    id_column: str | None
    delimiter: str | None
    encoding: str | None


@dataclass(frozen=True, kw_only=True)
class TableReading:
    """The columns that are read of new tables, and how a table is read.

    Args:
        columns: of inputs, in order.
        id_column: whose values name the examples, or None.
        delimiter, encoding: of text files, where they are not to be found.
    """

    columns: tuple[str, ...]
    id_column: str | None = None
    delimiter: str | None = None
    encoding: str | None = None

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
        self, rows: Sequence[Mapping[str, Any]], blanks: bool = False
    ) -> list[tuple[str, ...]]:
        """The cells of the columns of each row, as text.

        Args:
            rows: cells by the name of their column.
            blanks: whether a cell may be missing, where its column is there.

        Raises:
            DataError: a row lacks a column, or a cell is missing.
        """
        return [self._cells(row, number, blanks) for number, row in enumerate(rows, start=1)]

    def _cells(self, row: Mapping[str, Any], number: int, blanks: bool) -> tuple[str, ...]:
        for column in self.columns:
            if column not in row:
                raise DataError(
                    f"row {number} has no column {column!r}\n  its columns are: {shown([*row])}"
                )
            if not blanks and not isinstance(row[column], str) and is_missing(row[column]):
                raise DataError(f"row {number} has nothing in the column {column!r}")
        return tuple("" if is_missing(row[c]) else str(row[c]).strip() for c in self.columns)
