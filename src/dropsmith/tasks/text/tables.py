"""Texts and labels in tables."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.tables import column_named, table_rows
from dropsmith.tasks.text.label_checks import LabelCheck, Place

Example = tuple[str, str]
"""A text and its label; the two sentences of a pair are one text with `SEPARATOR` in it."""

SEPARATOR = "\t"
"""Stands between the sentences of a pair: no word holds it, and no cell of a TSV."""


def read_table(
    path: Path,
    text: Sequence[str],
    label: str = "label",
    second: str | None = None,
    *,
    bounds: Bounds = USUAL,
    check: LabelCheck | None = None,
) -> list[Example]:
    """The texts and labels in a file.

    A label that is missing is refused: an empty cell, or `null` or `NaN` in JSON; the word None is
    a label like any other.

    Args:
        path: of a table; see `table_rows`.
        text: what the column of texts may be called; the first that exists is read.
        label: what the column of labels is called.
        second: the column of second sentences, where texts are pairs.
        bounds: the most that is read.
        check: is given each label and its place.

    Raises:
        DataError: the file or a column is missing, a row is not whole, or there are none.
    """
    columns: list[str] = []
    label_column = ""
    examples: list[Example] = []
    for line, row in table_rows(path, bounds):
        if not columns:
            columns = [column_named(path, row, text)]
            label_column = column_named(path, row, [label])
            columns += [] if second is None else [column_named(path, row, [second])]
        place = path, line
        name = _text(row.get(label_column), label_column, place, "a label").strip()
        if not name:
            raise _missing(label_column, place)
        if check is not None:
            check(name, place)
        sentences = [_text(row.get(column), column, place, "a text") for column in columns]
        examples.append((join_sentences(*sentences), name))
    if not examples:
        raise DataError(f"no rows in {path}")
    return examples


def join_sentences(*sentences: str) -> str:
    """The sentences of an example as one text.

    >>> join_sentences(" one\\ttwo", "three")
    'one two\\tthree'
    """
    return SEPARATOR.join(sentence.strip().replace(SEPARATOR, " ") for sentence in sentences)


def _text(value: Any, column: str, place: Place, wanted: str) -> str:
    """A text as it is; a number or a truth value of JSON as text; anything else is refused."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise _missing(column, place)
    path, line = place
    if not isinstance(value, int | float) or not -math.inf < value < math.inf:
        kind = "infinite" if isinstance(value, float) else f"a {type(value).__name__}"
        raise DataError(f"line {line} of {path}: {column!r} is {kind}, and not {wanted}")
    return str(value)


def _missing(column: str, place: Place) -> DataError:
    path, line = place
    return DataError(f"line {line} of {path} has no {column!r}\n  fill it in, or leave the row out")
