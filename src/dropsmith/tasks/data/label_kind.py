"""The kind of a table's labels: classes or values."""

from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.data.data_options import DataOptions, Kind
from dropsmith.tasks.data.label_column import is_missing, is_no_number
from dropsmith.tasks.data.number_forms import DecimalSign, number_in
from dropsmith.tasks.data.table_parts import part_tables
from dropsmith.tasks.data.tables import table_rows

MOST_CLASSES = 20
"""Whole numbers that are classes, at most, where nobody says so."""

_KEPT = 5_000


def label_kind(path: Path, label: str, options: DataOptions, decimal: DecimalSign = ".") -> Kind:
    """Whether the labels of training are classes or values.

    Labels that are no numbers are classes, and so are few whole numbers; other numbers are values.

    Args:
        path: of the table or the folder.
        label: the column of labels.
        options: how tables are read.
        decimal: the sign before the decimals of a number that is written as text.

    Raises:
        DataError: labels are whole numbers that may be either, or there are none.
    """
    tables = part_tables(path, options)
    part = next(part for part in ("train", "all", "validation", "test") if part in tables)
    values: set[float] = set()
    count = 0
    for table in tables[part]:
        rows = table_rows(
            table, options.bounds, delimiter=options.delimiter, encoding=options.encoding
        )
        for _, row in rows:
            cell = row.get(label)
            if is_missing(cell):
                continue
            value = number_in(cell, decimal)
            if value is None and not is_no_number(cell):
                return "classification"
            count += 1
            if value is not None and len(values) < _KEPT:
                values.add(value)
    if not count:
        raise DataError(
            f"no row of {path} has a label in the column {label!r}\n"
            "  name another column: --label-column NAME"
        )
    # The word NA stands for a value that is missing, and may be the name of a class.
    return _kind_of_numbers(values, count, path, label) if values else "classification"


def _kind_of_numbers(values: set[float], count: int, path: Path, label: str) -> Kind:
    if not all(value.is_integer() for value in values):
        return "regression"
    if len(values) <= MOST_CLASSES and (len(values) <= 2 or 2 * len(values) <= count):
        return "classification"
    is_row = min(values) in (0.0, 1.0) and max(values) - min(values) == len(values) - 1
    if is_row and 5 * len(values) <= count:
        raise DataError(
            f"the labels in the column {label!r} of {path} are the whole numbers from "
            f"{min(values):g} to {max(values):g}: they may be classes or values\n"
            "  say which they are: --kind classification or --kind regression"
        )
    return "regression"
