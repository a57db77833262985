"""Tables of texts and labels in files: CSV, TSV and JSON lines, gzipped or not."""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from dropsmith.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl")

Example = tuple[str, str]
"""A text and its label; the two sentences of a pair are one text with `SEPARATOR` in it."""

SEPARATOR = "\t"
"""Stands between the sentences of a pair: no word holds it, and no cell of a TSV."""


def is_table(path: Path) -> bool:
    """True if a file's name says that it is a table that can be read."""
    return _kind(path) in SUFFIXES


def read_table(
    path: Path, text: Sequence[str], label: str = "label", second: str | None = None
) -> list[Example]:
    """The texts and labels in a file.

    CSV is read with its quotes; TSV is split at tabs and nothing else, so that a lone quotation
    mark in a sentence is a quotation mark.

    Args:
        path: ends in .csv, .tsv or .jsonl, and perhaps .gz; tables begin with a line of names.
        text: what the column of texts may be called; the first that exists is read.
        label: what the column of labels is called.
        second: the column of second sentences, where texts are pairs.

    Raises:
        DataError: the file or a column is missing, a row is not whole, or there are none.
    """
    if not path.is_file():
        raise DataError(f"no file {path}")
    if not is_table(path):
        raise DataError(f"cannot read {path}: a table ends in {', '.join(SUFFIXES)} (or .gz)")
    try:
        with _open(path) as lines:
            rows = list(_rows(path, lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}\n  {error}") from None
    if not rows:
        raise DataError(f"no rows in {path}")
    columns = [_column(path, rows[0], names) for names in (text, [label])]
    columns += [] if second is None else [_column(path, rows[0], [second])]
    return [_example(path, number, row, columns) for number, row in enumerate(rows, start=1)]


def _column(path: Path, row: dict[str, str], names: Sequence[str]) -> str:
    column = next((name for name in names if name in row), None)
    if column is None:
        choices = " or ".join(map(repr, names))
        raise DataError(f"no column {choices} in {path}\n  its columns are: {', '.join(row)}")
    return column


def _example(path: Path, number: int, row: dict[str, str], columns: Sequence[str]) -> Example:
    text, label, *second = columns
    if any(name not in row for name in columns) or not row[label].strip():
        missing = " or no ".join(map(repr, (text, *second, label)))
        raise DataError(f"row {number} of {path} has no {missing}: {row}")
    return join_sentences(*(row[name] for name in (text, *second))), row[label].strip()


def join_sentences(*sentences: str) -> str:
    """The sentences of an example as one text.

    >>> join_sentences(" one\\ttwo", "three")
    'one two\\tthree'
    """
    return SEPARATOR.join(sentence.strip().replace(SEPARATOR, " ") for sentence in sentences)


def _rows(path: Path, lines: IO[str]) -> Iterator[dict[str, str]]:
    kind = _kind(path)
    if kind == ".jsonl":
        yield from _json_rows(path, lines)
    elif kind == ".csv":
        yield from _rows_by_name(path, csv.reader(lines))
    else:
        yield from _rows_by_name(path, (line.rstrip("\r\n").split("\t") for line in lines))


def _rows_by_name(path: Path, cells: Iterator[list[str]]) -> Iterator[dict[str, str]]:
    names = [name.strip() for name in next(cells, [])]
    for number, row in enumerate(cells, start=2):
        if not row or row == [""]:
            continue
        if len(row) != len(names):
            raise DataError(
                f"line {number} of {path} has {len(row)} columns, its header {len(names)}: "
                f"{', '.join(names)}"
            )
        yield dict(zip(names, row, strict=True))


def _json_rows(path: Path, lines: IO[str]) -> Iterator[dict[str, str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"line {number} of {path} is not JSON: {error}") from None
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {path} is not a JSON object")
        yield {str(name): str(value) for name, value in row.items()}


def _kind(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8-sig", newline="")
