"""Tables in JSON: lines of objects, an array of objects, or columns by their names."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, first_repeated
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.text_files import read_text

Row = tuple[int, dict[str, Any]]
"""The line or number of a row, from 1, and its cells by the name of their column."""

_LINES = 2**62
"""An array of few rows may be written in many lines: rows are counted when they are read."""


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
        row = _parsed(line, path, number)
        if not isinstance(row, dict):
            raise DataError(f"line {number} of {path} is not a JSON object")
        yield number, row


def json_table(path: Path, bounds: Bounds, encoding: str | None = None) -> Iterator[Row]:
    """The rows of a file of JSON, each with its number.

    The file holds an array of objects, columns by their names (lists, or objects by row), an
    object with `data` that holds one of these or, beside `columns`, lists of cells; or lines of
    objects.

    Raises:
        DataError: it holds none of these, or is too large.
    """
    text = read_text(path, replace(bounds, rows=_LINES), encoding)
    lines = text.split("\n")
    if len(lines) > 1 and _is_object(lines[0]):
        return json_rows(path, lines)
    return enumerate(_rows_of(_parsed(text, path), path), start=1)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _rows_of(values: Any, path: Path) -> Iterator[dict[str, Any]]:
    if isinstance(values, dict) and isinstance(values.get("data"), list | dict):
        names = values.get("columns")
        data = values["data"]
        if isinstance(names, list) and isinstance(data, list):
            data = [_named(names, row, path) for row in data]
        return _rows_of(data, path)
    if isinstance(values, list) and all(isinstance(row, dict) for row in values):
        return iter(values)
    if isinstance(values, dict) and _is_by_row(values):
        return iter(values.values())
    if isinstance(values, dict) and values:
        columns = {
            name: list(column.values()) if isinstance(column, dict) else column
            for name, column in values.items()
        }
        if all(isinstance(column, list) for column in columns.values()):
            return _rows_of_columns(columns, values, path)
    raise DataError(
        f"{path} holds no table\n"
        "  a table in JSON is an array of objects, or lists of cells by the name of their column"
    )


def _is_by_row(values: dict[str, Any]) -> bool:
    """True of rows by their numbers: the names of columns are words more often than numbers."""
    rows = list(values.values())
    return (
        all(name.isdigit() for name in values)
        and all(isinstance(row, dict) and not all(n.isdigit() for n in row) for row in rows)
        and bool(rows)
    )


def _rows_of_columns(
    columns: dict[str, list[Any]], values: dict[str, Any], path: Path
) -> Iterator[dict[str, Any]]:
    keys = {tuple(column) for column in values.values() if isinstance(column, dict)}
    sizes = {name: len(column) for name, column in columns.items()}
    if len(set(sizes.values())) > 1 or len(keys) > 1:
        raise DataError(
            f"the columns of {path} do not hold the same rows: "
            + ", ".join(f"{name[:60]} {size}" for name, size in list(sizes.items())[:20])
        )
    return (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))


def _named(names: list[Any], row: Any, path: Path) -> dict[str, Any]:
    if not isinstance(row, list) or len(row) != len(names) or len(set(map(str, names))) < len(row):
        raise DataError(f"a row of {path} does not have one cell for each of its columns")
    return dict(zip(map(str, names), row, strict=True))


def _parsed(text: str, path: Path, number: int | None = None) -> Any:
    try:
        values = json.loads(text)
        if not _has_each_field_once(values, text):
            json.loads(text, object_pairs_hook=_unique)
        if "\\u" in text:  # half a character, which no file can hold, is written so
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise _fault(error, str(path) if number is None else f"line {number} of {path}") from None
    return values


def _fault(error: Exception, what: str) -> DataError:
    if isinstance(error, DataError):
        return DataError(f"{what} has {error}")
    if isinstance(error, UnicodeEncodeError):
        return DataError(f"{what} has half a character: \\ud800")
    if isinstance(error, RecursionError):
        return DataError(f"{what} is nested too deep to be read")
    if isinstance(error, json.JSONDecodeError):
        return DataError(f"{what} is not JSON: {error}")
    # Python reads no whole number of more than some thousand digits.
    return DataError(
        f"{what} holds a whole number of thousands of digits\n"
        "  write it with an exponent, such as 1e300, or as text in quotation marks"
    )


def _has_each_field_once(values: Any, text: str) -> bool:
    """True if it shows at a glance that no object has a field twice.

    It does where there are as many colons as fields, or, in an object without others in it, as many
    texts with a colon after.
    """
    if type(values) is not dict:
        return False
    count = len(values)
    if text.count(":") == count:
        return True
    if text.count('":') != count:
        return False
    for value in values.values():
        if type(value) is dict or type(value) is list:
            return False
    return _SPACE_BEFORE_COLON.search(text) is None


_SPACE_BEFORE_COLON = re.compile(r'"\s+:')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = first_repeated(name for name, _ in pairs) or ""
        raise DataError(f"the field {twice[:60]!r} twice in one object")
    return fields
