"""Cells of a line of text, and the character that stands between them."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import Bounds

DELIMITERS = (",", ";", "\t", "|")
"""The characters that are looked for between the cells of a header."""

SAMPLE = 20
"""Lines that a delimiter is found in."""

Cells = Iterator[tuple[int, list[str]]]
"""The line that a row begins at, from 1, and its cells."""


def find_delimiter(lines: Sequence[str], usual: str) -> str:
    r"""The character between the cells of a table.

    It stands in the header, and cuts the header and the rows into equally many cells.

    >>> find_delimiter(["id;text\n", "1;well, well\n"], ",")
    ';'
    >>> find_delimiter(["text,label\n", "a; b,1\n"], ",")
    ','

    Args:
        lines: the first of the table, the header among them.
        usual: the character that the name of the file promises; it is taken where others would do
            as well.
    """
    header = next((line for line in lines if line.strip()), "")
    candidates = [c for c in (usual, *DELIMITERS) if len(_split(header, c)) > 1]
    even = [c for c in candidates if _is_even(lines, c)]
    return next(iter([*even, *candidates]), usual)


def _is_even(lines: Sequence[str], delimiter: str) -> bool:
    try:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return False
    # The last row may go on in a line that is not here.
    return len(set(widths[:-1] or widths)) == 1


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def plain_cells(lines: Iterable[str], delimiter: str = "\t") -> Cells:
    """The cells of lines that are cut at each delimiter: a quotation mark is a sign like others."""
    for number, line in enumerate(lines, start=1):
        yield number, line.rstrip("\r\n").split(delimiter)


def quoted_cells(path: Path, lines: Iterable[str], delimiter: str, bounds: Bounds) -> Cells:
    """The cells of rows in which a cell in quotation marks may hold anything.

    Args:
        path: what the lines are from, for messages.
        lines: of the table, the header included.
        delimiter: the character between cells.
        bounds: the most bytes of a row.

    Raises:
        DataError: a quotation mark is open, or a row is too large.
    """
    read_all, size = False, 0

    def watched() -> Iterator[str]:
        nonlocal read_all, size
        for line in lines:
            size += len(line)
            if size > bounds.row_bytes:
                raise bounds.excess("row_bytes", f"the row at line {start} of {path}")
            yield line
        read_all = True

    reader, start = csv.reader(watched(), delimiter=delimiter), 1
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
