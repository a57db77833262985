"""The kind of each column of a table: numbers, categories, texts or identifiers."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from dropsmith.tasks.data.label_column import is_missing

ColumnKind = Literal["number", "category", "text", "identifier", "empty"]

MOST_CATEGORIES = 30
"""Values of a column of categories, at most."""

_DISTINCT = 1_001
"""Different values that are kept of a column, at most."""

_NO_VALUE = frozenset({"na", "n/a", "nan", "null", "none", "?", "-", "<na>", "#n/a"})
"""Cells, in lower case, that stand for a number that is missing."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")


def number_in(cell: Any) -> float | None:
    """The number that a cell writes; None where it writes none.

    >>> number_in(" 2.5"), number_in("1e3"), number_in("two"), number_in(True)
    (2.5, 1000.0, None, None)
    """
    if isinstance(cell, str):
        return float(cell) if _NUMBER.fullmatch(cell.strip()) else None
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        return None
    value = float(cell)
    return value if value - value == 0 else None


def is_no_number(cell: Any) -> bool:
    """True of an empty cell, and of one that says that a number is missing.

    >>> is_no_number(""), is_no_number("NA"), is_no_number("0")
    (True, True, False)
    """
    return is_missing(cell) or (isinstance(cell, str) and cell.strip().lower() in _NO_VALUE)


@dataclass
class Profile:
    """Counts over the cells of one column.

    Args:
        rows: cells that are not empty.
        numbers: of them, those that write a number.
        words: words in all of them.
        values: how often each value is there, of at most `_DISTINCT` values.
        blanks: cells that say that a number is missing.
    """

    rows: int = 0
    numbers: int = 0
    words: int = 0
    blanks: int = 0
    values: Counter[str] = field(default_factory=Counter)

    def add(self, cell: Any) -> None:
        """Count one more cell."""
        if is_no_number(cell):
            self.blanks += 1
            return
        text = cell if isinstance(cell, str) else str(cell)
        self.rows += 1
        self.numbers += number_in(cell) is not None
        self.words += len(text.split())
        if len(self.values) < _DISTINCT or text in self.values:
            self.values[text] += 1

    @property
    def kind(self) -> ColumnKind:
        """Numbers where every cell is one; else categories where few values come again and again;
        else texts of several words, or identifiers of one."""
        if not self.rows:
            return "empty"
        if self.numbers == self.rows:
            return "number"
        if len(self.values) <= min(MOST_CATEGORIES, max(2, self.rows // 4)):
            return "category"
        return "text" if self.words >= 1.5 * self.rows else "identifier"

    @property
    def is_unique(self) -> bool:
        """True if no value is there twice."""
        return len(self.values) == self.rows or len(self.values) == _DISTINCT


def profiles(rows: Iterable[Mapping[str, Any]]) -> dict[str, Profile]:
    """The profile of each column of rows."""
    columns: dict[str, Profile] = {}
    for row in rows:
        for name, cell in row.items():
            columns.setdefault(str(name), Profile()).add(cell)
    return columns
