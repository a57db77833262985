"""Labels looked at while they are read, where file and line can still be named."""

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from unicodedata import category, decimal, normalize

from dropsmith.errors import DataError
from dropsmith.tasks.data.tables import row_place

Place = tuple[Path, int]
"""A file and a line in it."""

LabelCheck = Callable[[str, Place], object]
"""Takes a label and its place, and raises `DataError` where it cannot be one."""

LARGEST_VALUE = 1e30
"""The size of the largest label that is a value: its square is still a number."""

_LONGEST = 100
"""Characters of a class's name that may be a number in one spelling of several."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")


class ClassSpellings:
    """Refuses a class that is spelled in two ways: `1` and `1.0`, `true` and `True` or `1`.

    One serves all tables of a data set, so that training and test call a class the same.

    >>> spellings = ClassSpellings()
    >>> spellings("1", (Path("train.csv"), 2))
    >>> spellings("1.0", (Path("test.csv"), 5))
    Traceback (most recent call last):
    dropsmith.errors.DataError: one class has two spellings: '1' and '1.0'
      line 2 of train.csv has the first, line 5 of test.csv the second
      write it in one way
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._first: dict[Decimal | str, tuple[str, Place]] = {}

    def __call__(self, label: str, place: Place) -> None:
        if label in self._known:
            return
        first, (path, line) = self._first.setdefault(_meaning(label), (label, place))
        if first != label:
            raise DataError(
                f"one class has two spellings: {first[:60]!r} and {label[:60]!r}"
                f"{_code_points(first, label)}\n"
                f"  {row_place(path, line)} has the first, {row_place(*place)} the second\n"
                "  write it in one way"
            )
        self._known.add(label)


def _meaning(label: str) -> Decimal | str:
    """The same for labels that look alike: letters of other widths, invisible signs, numbers."""
    plain = label
    if not label.isascii():
        plain = normalize("NFKC", "".join(c for c in label if category(c) != "Cf")).strip()
        plain = "".join(str(decimal(c)) if c.isdecimal() else c for c in plain)
    if len(plain) <= _LONGEST and _NUMBER.fullmatch(plain):
        return Decimal(plain)
    word = plain.casefold()
    return _TRUTH.get(word, plain)


_TRUTH = {"true": Decimal(1), "false": Decimal(0)}
"""Truth values as numbers: JSON and spreadsheets write one or the other for the same."""


def _code_points(first: str, second: str) -> str:
    """The places at which two labels first differ, where a reader may not see it."""
    if first.isascii() and second.isascii():
        return ""
    at = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    at = min(len(first), len(second)) if at is None else at
    signs = [f"U+{ord(text[at]):04X}" if at < len(text) else "nothing" for text in (first, second)]
    return f"\n  they differ at character {at + 1}: {signs[0]} and {signs[1]}"


def value_of(label: str, place: Place) -> float:
    """The number that a label writes.

    >>> value_of("2.5", (Path("a.csv"), 2))
    2.5

    Raises:
        DataError: it writes none, or too large a one.
    """
    return value_in(label, f"the label at {row_place(*place)}")


def value_in(label: str, what: str) -> float:
    """As `value_of`, of a label that is called `what` in messages."""
    if not _NUMBER.fullmatch(label):
        raise DataError(f"{what} is {label[:60]!r}, and not a number")
    if not abs(value := float(label)) <= LARGEST_VALUE:
        raise DataError(
            f"{what} is {label[:60]!r}, and not from {-LARGEST_VALUE:g} to {LARGEST_VALUE:g}"
        )
    return value
