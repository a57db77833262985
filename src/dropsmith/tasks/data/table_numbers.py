"""The decimal sign of a table, and the columns in which every cell has to be a number."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, excerpt
from dropsmith.tasks.data.column_profile import Profile
from dropsmith.tasks.data.label_column import is_no_number
from dropsmith.tasks.data.number_forms import DecimalSign, Form, number_text
from dropsmith.tasks.data.tables import row_place

_NAMES: Mapping[DecimalSign, Form] = {".": "point", ",": "comma"}
_WORDS = {"point": "a point", "comma": "a comma"}


@dataclass(frozen=True, kw_only=True)
class NumberColumns:
    """The columns of numbers in a table, and how they are written.

    >>> prices = NumberColumns(names=frozenset({"price"}), decimal=",")
    >>> prices.text("price", "3,50"), prices.text("price", "NA"), prices.text("name", "3,50")
    ('3.50', '', '3,50')

    Args:
        names: of the columns.
        decimal: what stands before the decimals of a number that is written as text.
    """

    names: frozenset[str] = frozenset()
    decimal: DecimalSign = "."

    def text(self, column: str, cell: Any) -> Any:
        """The cell, of a column of numbers with a point or empty; None where it is no number."""
        if column not in self.names:
            return cell
        return "" if is_no_number(cell) else number_text(cell, self.decimal)

    def fault(self, column: str, cell: Any, place: str) -> DataError:
        """The error for a cell that is no number.

        Args:
            column, cell: which it is.
            place: of its row in words.
        """
        other: DecimalSign = "," if self.decimal == "." else "."
        advice = "correct it, or leave the cell empty where the number is not known"
        if number_text(cell, other) is not None:
            advice = f"where {_WORDS[_NAMES[other]]} stands before the decimals: --decimal {other}"
        return DataError(
            f"{place}: the column {column!r} holds numbers, and {excerpt(cell)} here\n  {advice}"
        )


def find_decimal(columns: Mapping[str, Profile]) -> DecimalSign:
    """The sign before the decimals of a table's numbers: a comma where columns show it.

    Where some columns show a comma and others a point, it is a point, and `check_number_columns`
    refuses those with a comma if they are read.
    """
    return "," if _decided(columns, "comma") and not _decided(columns, "point") else "."


def _decided(columns: Mapping[str, Profile], form: Form) -> list[str]:
    """The columns of numbers of which at least one can be read in this form alone."""
    return [
        name
        for name, profile in columns.items()
        if profile.is_numeric
        and profile.forms.decided[form]
        and {"comma", "point"} & profile.forms.counts.keys() == {form}
    ]


def _first(table: Path, profile: Profile, name: str, form: Form) -> str:
    line, cell = profile.forms.first[form]
    return f"{excerpt(cell)} in the column {name!r} at {row_place(table, line)}"


def check_number_columns(
    table: Path,
    columns: Mapping[str, Profile],
    names: Collection[str],
    decimal: DecimalSign,
    *,
    is_set: bool,
    delimiter: str | None,
) -> None:
    """Refuse columns whose cells are numbers in a form that would be read wrongly.

    Args:
        table: the file, for messages.
        columns: the profiles of its columns.
        names: of the columns that are read as numbers.
        decimal: the sign before the decimals.
        is_set: whether the user set that.
        delimiter: the character between the cells of the file, if it is text.

    Raises:
        DataError: one separates thousands, writes numbers in two ways, or leaves it open what its
            commas or points mean.
    """
    for name in names:
        profile = columns[name]
        if profile.is_numeric and profile.forms.counts.keys() - {"whole"}:
            _check_column(table, profile, name, decimal, is_set, delimiter)


def _check_column(
    table: Path,
    profile: Profile,
    name: str,
    decimal: DecimalSign,
    is_set: bool,
    delimiter: str | None,
) -> None:
    forms, usual = profile.forms, _NAMES[decimal]
    other: Form = "comma" if usual == "point" else "point"
    if "grouped" in forms.counts:
        raise DataError(
            f"numbers are written with separators of thousands: "
            f"{_first(table, profile, name, 'grouped')}\n"
            "  write them without, such as 1234.5 or 1234,5"
        )
    if forms.counts[usual] and forms.counts[other]:
        raise DataError(
            f"the column {name!r} of {table} writes numbers in two ways: "
            + " and ".join(
                f"{excerpt(forms.first[form][1])} at {row_place(table, forms.first[form][0])}"
                for form in ("comma", "point")
            )
            + "\n  write all of them with a point, or all with a comma"
        )
    if forms.counts[other] and (is_set or forms.decided[other]):
        sign = "," if decimal == "." else "."
        reason = f"--decimal {decimal} was given"
        if not is_set:
            reason = f"other columns have {_WORDS[usual]} there"
        raise DataError(
            f"a number is written with {_WORDS[other]}, and {reason}: "
            f"{_first(table, profile, name, other)}\n"
            f"  write it in one way, leave the column out, or give --decimal {sign}"
        )
    maybe = other if forms.counts[other] else usual
    is_open = bool(forms.counts[other]) or (maybe == "point" and delimiter == ";")
    if not is_set and is_open and not forms.decided[maybe]:
        cell = forms.first[maybe][1]
        sign = "," if maybe == "comma" else "."
        raise DataError(
            f"it is not clear what {_WORDS[maybe]} means in {_first(table, profile, name, maybe)}\n"
            f"  {cell.replace(',', '.')}, with decimals: --decimal {sign}\n"
            f"  {cell.replace(',', '').replace('.', '')}, with thousands: write it without"
        )
