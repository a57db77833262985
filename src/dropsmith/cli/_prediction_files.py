"""Files of predictions, written row by row: CSV, TSV, JSON lines and Parquet."""

import csv
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dropsmith.errors import MissingExtra, TaskError
from dropsmith.files import json_line

if TYPE_CHECKING:
    from dropsmith.prediction import Table

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
"""The file name extensions of predictions."""


class RowWriter(ABC):
    """Writes the tables of batches, which have the same columns."""

    @abstractmethod
    def write(self, table: "Table") -> None:
        """Append the rows of a table."""


def check_out(out: Path) -> None:
    """Raise `TaskError` unless a file name has an extension for predictions."""
    if out.suffix.lower() not in SUFFIXES:
        raise TaskError(
            f"predictions cannot be written to {out}: its name has no known extension\n"
            f"  extensions: {', '.join(SUFFIXES)}"
        )
    if out.suffix.lower() == ".parquet":
        _parquet()


@contextmanager
def row_writer(out: Path | None, as_json: bool) -> Iterator[RowWriter]:
    """A writer of rows for a `with` block.

    Args:
        out: the file, which is complete after the block; standard output where None.
        as_json: whether to print JSON lines in place of CSV on standard output.

    Raises:
        OSError: the file cannot be written; an earlier one is unchanged.
    """
    from dropsmith.files import whole_file

    if out is None:
        yield _Lines(sys.stdout) if as_json else _Cells(sys.stdout)
        return
    suffix = out.suffix.lower()
    with whole_file(out) as partial:
        if suffix == ".parquet":
            writer = _Parquet(partial)
            try:
                yield writer
            finally:
                writer.close()
            return
        with partial.open("w", encoding="utf-8", newline="") as file:
            if suffix == ".jsonl":
                yield _Lines(file)
            else:
                yield _TabbedCells(file) if suffix == ".tsv" else _Cells(file)


class _Cells(RowWriter):
    def __init__(self, file: IO[str]) -> None:
        self._file, self._begun = file, False

    def write(self, table: "Table") -> None:
        rows = [] if self._begun else [list(table)]
        rows += [list(map(_cell, row)) for row in zip(*table.values(), strict=True)]
        self._begun = True
        self._write_rows(rows)

    def _write_rows(self, rows: list[list[str]]) -> None:
        csv.writer(self._file, lineterminator="\n").writerows(rows)


class _TabbedCells(_Cells):
    """A writer of cells with tabs between them, without quotation marks."""

    def _write_rows(self, rows: list[list[str]]) -> None:
        for row in rows:
            self._file.write("\t".join(" ".join(cell.split()) for cell in row) + "\n")


class _Lines(RowWriter):
    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, table: "Table") -> None:
        for row in zip(*table.values(), strict=True):
            fields = dict(zip(table, row, strict=True))
            self._file.write(json_line(fields))


class _Parquet(RowWriter):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, table: "Table") -> None:
        import pyarrow

        kinds = (pyarrow.float64(), pyarrow.string())
        schema = pyarrow.schema([(name, kinds[_is_text(table[name])]) for name in table])
        rows = pyarrow.Table.from_pydict(table, schema=schema)
        if self._writer is None:
            self._writer = _parquet().ParquetWriter(self._path, schema)
        self._writer.write_table(rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _is_text(column: list[Any]) -> bool:
    return any(isinstance(value, str) for value in column)


def _parquet() -> Any:
    try:
        import pyarrow.parquet as library
    except ImportError:
        raise MissingExtra("a .parquet file", "pyarrow", "tables") from None
    return library


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)
