"""Tables in files, row by row: CSV, TSV and JSON lines, gzipped or not."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, first_repeated
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.text_files import text_lines

SUFFIXES = (".csv", ".tsv", ".jsonl")

Row = tuple[int, dict[str, Any]]
"""The line that a row begins at, from 1, and its cells by the name of their column."""

_SHOWN = 20
"""Columns that an error names, at most."""


def is_table(path: Path) -> bool:
    """True if a file's name says that it is a table that can be read."""
    return _suffix(path) in SUFFIXES


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def table_rows(path: Path, bounds: Bounds = USUAL) -> Iterator[Row]:
    """The rows of a table; those of CSV and TSV hold text, those of JSON any JSON value.

    CSV is read with its quotes; TSV is split at tabs and nothing else, so that a lone quotation
    mark in a sentence is a quotation mark. Empty lines are left out.

    Args:
        path: ends in .csv, .tsv or .jsonl, and perhaps .gz; the first two begin with a line of
            names, of which no two are the same, unless they are empty.
        bounds: the most that is read, in rows, bytes and bytes of a row.

    Raises:
        DataError: there is no such file, a row of it is not whole, or it is too large.
    """
    if not path.is_file():
        raise DataError(f"no file {path}")
    suffix, lines = _suffix(path), text_lines(path, bounds)
    if suffix not in SUFFIXES:
        raise DataError(f"cannot read {path}: a table ends in {', '.join(SUFFIXES)} (or .gz)")
    if suffix == ".jsonl":
        rows = json_rows(path, lines)
    elif suffix == ".csv":
        rows = _rows_by_name(path, _csv_cells(path, lines, bounds))
    else:
        rows = _rows_by_name(path, enumerate((_tsv_cells(line) for line in lines), start=1))
    for count, row in enumerate(rows, start=1):
        if count > bounds.rows:
            raise bounds.excess("rows", str(path))
        yield row


def column_named(path: Path, row: dict[str, Any], names: Sequence[str]) -> str:
    """The first of some names that is a column; `DataError` where none is."""
    column = next((name for name in names if name in row), None)
    if column is None:
        choices, columns = " or ".join(map(repr, names)), [str(name)[:60] for name in row]
        more = ", …" if len(columns) > _SHOWN else ""
        raise DataError(
            f"no column {choices} in {path}\n  its columns are: {', '.join(columns[:_SHOWN])}{more}"
        )
    return column


def _tsv_cells(line: str) -> list[str]:
    return line.rstrip("\r\n").split("\t")


def _csv_cells(path: Path, lines: Iterable[str], bounds: Bounds) -> Iterator[tuple[int, list[str]]]:
    read_all, size = False, 0

    def watched() -> Iterator[str]:
        nonlocal read_all, size
        for line in lines:
            size += len(line)
            if size > bounds.row_bytes:
                raise bounds.excess("row_bytes", f"the row at line {start} of {path}")
            yield line
        read_all = True

    reader, start = csv.reader(watched()), 1
    try:
        for cells in reader:
            if read_all:  # its end was looked for beyond the last line
                raise DataError(f"the row at line {start} of {path} has an open quotation mark")
            yield start, cells
            start, size = reader.line_num + 1, 0
    except csv.Error as error:
        raise DataError(
            f"cannot read the row at line {start} of {path}\n  {error}\n"
            "  a quotation mark may be open; longer cells are read from .jsonl and .tsv"
        ) from None


def _rows_by_name(path: Path, rows: Iterable[tuple[int, list[str]]]) -> Iterator[Row]:
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
            )
        yield number, dict(zip(names, row, strict=True))


def json_rows(path: Path, lines: Iterable[str]) -> Iterator[Row]:
    """The objects in lines of JSON, each with its line.

    Args:
        path: what the lines are from, for messages.
        lines: of JSON; empty ones are left out.

    Raises:
        DataError: a line holds no object, or one with a field twice.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_unique)
            if "\\u" in line:  # half a character, which no file can hold, is written so
                json.dumps(row, ensure_ascii=False).encode()
        except DataError as error:
            raise DataError(f"line {number} of {path} has {error}") from None
        except UnicodeEncodeError:
            raise DataError(f"line {number} of {path} has half a character: \\ud800") from None
        except RecursionError:
            raise DataError(f"line {number} of {path} is nested too deep to be read") from None
        except ValueError as error:
            raise DataError(f"line {number} of {path} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {path} is not a JSON object")
        yield number, row


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = first_repeated(name for name, _ in pairs) or ""
        raise DataError(f"the field {twice[:60]!r} twice in one object")
    return fields
