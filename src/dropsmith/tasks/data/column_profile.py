"""The kind of each column of a table: numbers, categories, texts or identifiers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dropsmith.tasks.data.label_column import is_no_number
from dropsmith.tasks.data.number_forms import DecimalSign, NumberForms

ColumnKind = Literal["number", "category", "text", "identifier", "empty"]

MOST_CATEGORIES = 30
"""Values of a column of categories, at most."""

_DISTINCT = 1_001
"""Different values that are kept of a column, at most."""


@dataclass
class Profile:
    """Counts over the cells of one column.

    Args:
        rows: cells that are not empty.
        forms: of them, how those that write a number write it.
        words: words in all of them.
        values: how often each value is there, of at most `_DISTINCT` values.
        blanks: cells that say that a number is missing.
    """

    rows: int = 0
    forms: NumberForms = field(default_factory=NumberForms)
    words: int = 0
    values: Counter[str] = field(default_factory=Counter)
    blanks: int = 0

    def add(self, cell: Any, line: int = 0) -> None:
        """Count one more cell."""
        if is_no_number(cell):
            self.blanks += 1
            return
        text = cell if isinstance(cell, str) else str(cell)
        self.rows += 1
        self.forms.add(cell, line)
        self.words += len(text.split())
        if len(self.values) < _DISTINCT or text in self.values:
            self.values[text] += 1

    def kind(self, decimal: DecimalSign = ".") -> ColumnKind:
        """Numbers where every cell is one; else categories where few values come again and again;
        else texts of several words, or identifiers of one.

        Args:
            decimal: what stands before the decimals of a number.
        """
        if not self.rows:
            return "empty"
        if self.forms.count(decimal) == self.rows:
            return "number"
        if len(self.values) <= min(MOST_CATEGORIES, max(2, self.rows // 4)):
            return "category"
        return "text" if self.words >= 1.5 * self.rows else "identifier"

    @property
    def is_numeric(self) -> bool:
        """True if every cell writes a number, whatever the form."""
        return 0 < self.rows == self.forms.total

    @property
    def is_unique(self) -> bool:
        """True if no value is there twice."""
        return len(self.values) == self.rows or len(self.values) == _DISTINCT


def profiles(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, Profile]:
    """The profile of each column of rows, each of which comes with its line.

    >>> made = profiles([(2, {"a": "1,5"}), (3, {"a": "2"})])
    >>> made["a"].kind(","), made["a"].kind(".")
    ('number', 'category')
    """
    columns: dict[str, Profile] = {}
    for line, row in rows:
        for name, cell in row.items():
            columns.setdefault(str(name), Profile()).add(cell, line)
    return columns
