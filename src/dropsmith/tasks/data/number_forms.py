"""The ways in which tables write numbers: with a point or a comma, and perhaps with thousands."""

import re
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

DecimalSign = Literal[".", ","]
Form = Literal["whole", "point", "comma", "grouped"]

_EXPONENT = r"(?:[eE][+-]?[0-9]{1,6})?"
_BY_SIGN = {
    ".": re.compile(rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}"),
    ",": re.compile(rf"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+){_EXPONENT}"),
}
_GROUPED = re.compile(
    r"[+-]?(?:"
    r"[0-9]{1,3}([.,])[0-9]{3}(?:\1[0-9]{3})+"  # 1,234,567
    r"|[0-9]{1,3}(?:,[0-9]{3})+\.[0-9]+"  # 1,234.5
    r"|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+"  # 1.234,5
    r"|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?"  # 12,34,567 in India
    r"|[0-9]{1,3}([ '\u2019\u00a0\u2009\u202f])[0-9]{3}(?:\2[0-9]{3})*(?:[.,][0-9]+)?"  # 1 234,5
    r")"
)
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
"""1.234 and 1,234, of which nobody can say alone whether three digits are decimals."""


def number_in(cell: Any, decimal: DecimalSign = ".") -> float | None:
    """The number that a cell writes; None where it writes none.

    >>> number_in(" 2.5"), number_in("1e3"), number_in("two"), number_in(True)
    (2.5, 1000.0, None, None)
    >>> number_in("2,5", ","), number_in("2.5", ","), number_in(2.5, ",")
    (2.5, None, 2.5)

    Args:
        cell: of a table; a number of JSON or Parquet has no decimal sign to go by.
        decimal: what stands before the decimals of a text.
    """
    text = number_text(cell, decimal)
    if text is None:
        return None
    value = float(text)
    return value if value - value == 0 else None


def number_text(cell: Any, decimal: DecimalSign = ".") -> str | None:
    """The number that a cell writes, written with a point; None where it writes none.

    >>> number_text("2,50", ","), number_text("2.50"), number_text("2.50", ",")
    ('2.50', '2.50', None)
    """
    if isinstance(cell, str):
        stripped = cell.strip()
        return stripped.replace(",", ".") if _BY_SIGN[decimal].fullmatch(stripped) else None
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        return None
    return str(cell)


def form_of(cell: Any) -> Form | None:
    """The form in which a cell writes a number; None where it writes none.

    >>> [form_of(cell) for cell in ("7", 7.5, "7.5", "7,5", "7.500,5", "7 500", "seven")]
    ['whole', 'whole', 'point', 'comma', 'grouped', 'grouped', None]
    """
    if not isinstance(cell, str):
        return None if number_text(cell) is None else "whole"
    text = cell.strip()
    if _BY_SIGN["."].fullmatch(text):
        return "point" if "." in text else "whole"
    if _BY_SIGN[","].fullmatch(text):
        return "comma"
    return "grouped" if _GROUPED.fullmatch(text) else None


@dataclass
class NumberForms:
    """Counts of the forms in which the cells of a column write numbers.

    >>> forms = NumberForms()
    >>> for line, cell in enumerate(("1,5", "2", "1,234"), start=2):
    ...     forms.add(cell, line)
    >>> forms.counts["comma"], forms.decided["comma"], forms.first["comma"]
    (2, 1, (2, '1,5'))

    Args:
        counts: cells of each form.
        decided: of them, those whose sign stands before decimals and not before thousands.
        first: the line and the cell where each form is first seen.
        stranger: the line and the cell of the first that writes no number.
    """

    counts: Counter[Form] = field(default_factory=Counter)
    decided: Counter[Form] = field(default_factory=Counter)
    first: dict[Form, tuple[int, str]] = field(default_factory=dict)
    stranger: tuple[int, str] | None = None

    def add(self, cell: Any, line: int) -> None:
        """Count one more cell that is not empty."""
        form = form_of(cell)
        if form is None:
            self.stranger = self.stranger or (line, str(cell))
            return
        self.counts[form] += 1
        self.first.setdefault(form, (line, str(cell).strip()))
        if form in ("point", "comma"):
            self.decided[form] += not _EITHER.fullmatch(str(cell).strip())

    def count(self, decimal: DecimalSign) -> int:
        """How many cells write a number, where this sign stands before decimals."""
        return self.counts["whole"] + self.counts["point" if decimal == "." else "comma"]

    @property
    def total(self) -> int:
        """How many cells write a number in any form."""
        return sum(self.counts.values())
