"""Texts and labels in tables."""

import math
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.label_column import is_missing, is_no_number
from dropsmith.tasks.data.table_numbers import NumberColumns
from dropsmith.tasks.data.tables import column_named, row_place, table_rows
from dropsmith.tasks.text.label_checks import LabelCheck, Place

Example = tuple[str, str]
"""A text and its label; the two sentences of a pair are one text with `SEPARATOR` in it."""

_NO_NUMBERS = NumberColumns()

SEPARATOR = "\t"
"""Stands between the sentences of a pair: no word holds it, and no cell of a TSV."""


def read_table(
    path: Path,
    text: Sequence[str],
    label: str = "label",
    second: str | None = None,
    *,
    columns: Sequence[str] = (),
    options: DataOptions = NO_OPTIONS,
    check: LabelCheck | None = None,
    unlabelled: list[Place] | None = None,
    blanks: Collection[str] = (),
    numbers: NumberColumns = _NO_NUMBERS,
) -> list[Example]:
    """The texts and labels in a file.

    A label is missing where its cell is empty, or `null` or `NaN` in JSON; the word None is a label
    like any other.

    Args:
        path: of a table; see `table_rows`.
        text: what the column of texts may be called; the first that exists is read.
        label: what the column of labels is called.
        second: the column of second sentences, where texts are pairs.
        columns: the columns that are read in place of `text` and `second`.
        options: how the table is read.
        check: is given each label and its place.
        unlabelled: rows without a label are left out, and their places are put here; where None,
            such a row is refused.
        blanks: the columns whose cells may be empty.
        numbers: the columns of numbers, which are read as text with a point.

    Raises:
        DataError: the file or a column is missing, a row is not whole, or there are none.
    """
    names: list[str] = []
    label_column, number = "", 0
    examples: list[Example] = []
    rows = table_rows(path, options.bounds, delimiter=options.delimiter, encoding=options.encoding)
    for number, row in rows:
        if not names:
            names = [column_named(path, row, [name]) for name in columns]
            names = names or [column_named(path, row, text)]
            label_column = column_named(path, row, [label])
            names += [] if second is None or columns else [column_named(path, row, [second])]
        place = path, number
        name = _label(row.get(label_column), label_column, place, unlabelled, numbers)
        if name is None:
            continue
        if check is not None:
            check(name, place)
        cells = [_cell(row.get(column), column, place, blanks, numbers) for column in names]
        examples.append((join_sentences(*cells), name))
    if not number:
        raise DataError(f"no rows in {path}")
    return examples


def _label(
    cell: Any,
    column: str,
    place: Place,
    unlabelled: list[Place] | None,
    numbers: NumberColumns,
) -> str | None:
    is_value = column in numbers.names
    if is_no_number(cell) if is_value else is_missing(cell):
        if unlabelled is None:
            raise _missing(column, place)
        unlabelled.append(place)
        return None
    label = _number(cell, column, place, numbers) if is_value else cell
    return _text(label, column, place, "a label").strip()


def _cell(
    cell: Any, column: str, place: Place, blanks: Collection[str], numbers: NumberColumns
) -> str:
    if column in blanks and (cell is None or is_missing(cell)):
        return ""
    value = _number(cell, column, place, numbers) if column in numbers.names else cell
    return _text(value, column, place, "a text")


def _number(cell: Any, column: str, place: Place, numbers: NumberColumns) -> Any:
    text = numbers.text(column, cell)
    if text is None:
        raise numbers.fault(column, cell, row_place(*place))
    return text


def join_sentences(*sentences: str) -> str:
    """The sentences of an example as one text.

    >>> join_sentences(" one\\ttwo", "three")
    'one two\\tthree'
    """
    return SEPARATOR.join(sentence.strip().replace(SEPARATOR, " ") for sentence in sentences)


def _text(value: Any, column: str, place: Place, wanted: str) -> str:
    """A text as it is; a number or a truth value as text; anything else is refused."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise _missing(column, place)
    if isinstance(value, Decimal | date):
        return str(value)
    if not isinstance(value, int | float) or not -math.inf < value < math.inf:
        kind = "infinite" if isinstance(value, float) else f"a {type(value).__name__}"
        raise DataError(f"{row_place(*place)}: {column!r} is {kind}, and not {wanted}")
    return str(value)


def _missing(column: str, place: Place) -> DataError:
    return DataError(f"{row_place(*place)} has no {column!r}\n  fill it in, or leave the row out")
