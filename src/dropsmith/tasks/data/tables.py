"""Tables in files, row by row: CSV, TSV, JSON, JSON lines and Parquet."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, did_you_mean, first_repeated
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.delimited import (
    SAMPLE,
    Cells,
    find_delimiter,
    plain_cells,
    quoted_cells,
)
from dropsmith.tasks.data.json_tables import Row, json_rows, json_table
from dropsmith.tasks.data.parquet_tables import parquet_rows
from dropsmith.tasks.data.text_files import text_lines

SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")

_BY_NUMBER = (".json", ".parquet")
"""Tables whose rows have numbers, for they have no lines."""

_SHOWN = 20
"""Columns that an error names, at most."""


def is_table(path: Path) -> bool:
    """True if a file's name says that it is a table that can be read."""
    return _suffix(path) in SUFFIXES


def _suffix(path: Path) -> str:
    inner = (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()
    return "" if inner == ".parquet" and path.suffix == ".gz" else inner


def row_place(path: Path, number: int) -> str:
    """The place of a row in words.

    >>> row_place(Path("a.csv"), 3), row_place(Path("a.parquet"), 3)
    ('line 3 of a.csv', 'row 3 of a.parquet')
    """
    return f"{'row' if _suffix(path) in _BY_NUMBER else 'line'} {number} of {path}"


def table_rows(
    path: Path,
    bounds: Bounds = USUAL,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Iterator[Row]:
    """The rows of a table; those of CSV and TSV hold text, the others any value of JSON or Parquet.

    The delimiter of CSV and TSV is found in the file: a comma, a semicolon, a tab or a bar. Cells
    may stand in quotation marks, except in a TSV that is cut at tabs: a lone quotation mark in a
    sentence is a quotation mark there. Empty lines are left out.

    Args:
        path: ends in one of `SUFFIXES`, and all but Parquet perhaps in .gz; CSV and TSV begin with
            a line of names, of which no two are the same, unless they are empty.
        bounds: the most that is read, in rows, bytes and bytes of a row.
        delimiter: the character between cells, where it is not to be found.
        encoding: of the text; see `text_lines`.

    Raises:
        DataError: there is no such file, a row of it is not whole, or it is too large.
        MissingExtra: it is a Parquet file, and pyarrow is not installed.
    """
    if not path.is_file():
        raise DataError(f"no file {path}")
    suffix = _suffix(path)
    if suffix not in SUFFIXES:
        raise DataError(f"cannot read {path}: a table ends in {', '.join(SUFFIXES)} (or .gz)")
    if suffix == ".parquet":
        rows = parquet_rows(path, bounds)
    elif suffix == ".json":
        rows = json_table(path, bounds, encoding)
    elif suffix == ".jsonl":
        rows = json_rows(path, text_lines(path, bounds, encoding))
    else:
        rows = _rows_by_name(path, _cells(path, suffix, bounds, delimiter, encoding))
    for count, row in enumerate(rows, start=1):
        if count > bounds.rows:
            raise bounds.excess("rows", str(path))
        yield row


def usual_delimiter(path: Path) -> str | None:
    """The character between cells that the name of a file promises; None where it has none.

    >>> usual_delimiter(Path("a.csv")), usual_delimiter(Path("a.tsv.gz"))
    (',', '\\t')
    """
    return {".csv": ",", ".tsv": "\t"}.get(_suffix(path))


def table_delimiter(
    path: Path,
    bounds: Bounds = USUAL,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> str | None:
    """The character between the cells of a table; None of JSON and Parquet.

    Args:
        path, bounds, delimiter, encoding: as for `table_rows`.

    Raises:
        DataError: the file cannot be read.
    """
    usual = usual_delimiter(path)
    if usual is None or delimiter is not None:
        return usual and delimiter
    return find_delimiter(list(islice(text_lines(path, bounds, encoding), SAMPLE)), usual)


def _cells(
    path: Path, suffix: str, bounds: Bounds, delimiter: str | None, encoding: str | None
) -> Cells:
    lines = text_lines(path, bounds, encoding)
    if delimiter is None:
        first = list(islice(lines, SAMPLE))
        delimiter = find_delimiter(first, usual_delimiter(path) or ",")
        lines = chain(first, lines)
    if suffix == ".tsv" and delimiter == "\t":
        return plain_cells(lines)
    return quoted_cells(path, lines, delimiter, bounds)


def column_named(path: Path, row: dict[str, Any], names: Sequence[str]) -> str:
    """The first of some names that is a column; `DataError` where none is."""
    column = next((name for name in names if name in row), None)
    if column is None:
        choices = " or ".join(map(repr, names))
        raise DataError(
            f"no column {choices} in {path}\n  its columns are: {shown(row)}"
            + did_you_mean(names[0], map(str, row))
        )
    return column


def shown(columns: "Sequence[str] | dict[str, Any]") -> str:
    """The names of columns as an error lists them: the first of them, if there are many.

    >>> shown(["text", "label"])
    'text, label'
    """
    names = [str(name)[:60] for name in columns]
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _rows_by_name(path: Path, rows: Cells) -> Iterator[Row]:
    cells = iter(rows)
    names = [name.strip() for name in next(cells, (1, []))[1]]
    if (twice := first_repeated(filter(None, names))) is not None:
        raise DataError(
            f"{names.count(twice)} columns of {path} are called {twice[:60]!r}\n"
            "  give each a name of its own"
        )
    for number, row in cells:
        if not row or row == [""]:
            continue
        if len(row) != len(names):
            raise DataError(
                f"line {number} of {path} has {len(row)} columns, its header {len(names)}: "
                + ", ".join(name[:60] for name in names[:_SHOWN])
                + "\n  where another character stands between cells: --delimiter CHARACTER"
            )
        yield number, dict(zip(names, row, strict=True))
