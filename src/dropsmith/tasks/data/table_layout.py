"""The meaning of a table's columns, as it is found in the table or set by options."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.data.column_profile import profiles
from dropsmith.tasks.data.column_roles import (
    InputKind,
    check_names_set,
    columns_of_kinds,
    input_columns,
    usual_id,
    usual_label,
)
from dropsmith.tasks.data.data_options import DataOptions, Kind
from dropsmith.tasks.data.label_kind import label_kind
from dropsmith.tasks.data.number_forms import DecimalSign
from dropsmith.tasks.data.table_numbers import (
    NumberColumns,
    check_number_columns,
    find_decimal,
)
from dropsmith.tasks.data.table_parts import file_states, first_table
from dropsmith.tasks.data.tables import table_delimiter, table_rows

_PROFILED = 10_000
"""Rows that the kinds of columns are found in."""


@dataclass(frozen=True, kw_only=True)
class TableLayout:
    """The meaning of a table's columns.

    Args:
        texts: the columns of texts.
        features: the columns of numbers and categories.
        numbers: of these columns, those of numbers.
        label: the column of labels.
        kind: whether labels are classes or values.
        id_column: the column that names the rows, or None.
        unused: columns that no model reads.
        unused_features: of them, those of numbers and categories.
        decimal: the sign before the decimals of numbers that are written as text.
    """

    texts: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    label: str
    kind: Kind
    id_column: str | None = None
    unused: tuple[str, ...] = ()
    unused_features: tuple[str, ...] = ()
    decimal: DecimalSign = "."

    @property
    def inputs(self) -> InputKind:
        """What a model reads: texts, or numbers and categories, or both."""
        if self.texts and self.features:
            return "mixed"
        return "text" if self.texts else "numbers"

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a model reads, those of texts first."""
        return (*self.texts, *self.features)

    @property
    def number_columns(self) -> NumberColumns:
        """The columns in which every cell is a number, with the labels where these are values."""
        values = (self.label,) if self.kind == "regression" else ()
        return NumberColumns(names=frozenset((*self.numbers, *values)), decimal=self.decimal)


def find_layout(path: Path, options: DataOptions, inputs: InputKind | None = None) -> TableLayout:
    """The meaning of the columns of a table, or of those in a folder.

    Kinds of columns are found in the first rows of training, that of labels in all of them.

    Args:
        path: of the table or the folder.
        options: what is set by the user.
        inputs: what the model reads, where the task says so.

    Raises:
        DataError: it cannot be told which column is what; the message says what to type.
    """
    return _find(path.resolve(), options, inputs, file_states(path, options))


@lru_cache(maxsize=16)
def _find(path: Path, options: DataOptions, inputs: InputKind | None, times: object) -> TableLayout:
    table, read = first_table(path, options), (options.delimiter, options.encoding)
    rows = table_rows(table, options.bounds, delimiter=read[0], encoding=read[1])
    columns = profiles(islice(rows, _PROFILED))
    if not columns:
        raise DataError(f"no rows in {table}")
    check_names_set(table, columns, options)
    decimal = options.decimal or find_decimal(columns)
    label = options.label_column or usual_label(table, columns)
    identifier = options.id_column or usual_id(columns, label)
    free = {n: p for n, p in columns.items() if n and n not in (label, identifier)}
    texts, features = input_columns(table, free, options, inputs, decimal)
    numbers = tuple(name for name in features if columns[name].kind(decimal) == "number")
    check_number_columns(
        table,
        columns,
        [*features, *([label] if options.kind != "classification" else [])],
        decimal,
        is_set=options.decimal is not None,
        delimiter=table_delimiter(table, options.bounds, delimiter=read[0], encoding=read[1]),
    )
    unused = {name: p for name, p in free.items() if name not in (*texts, *features)}
    return TableLayout(
        texts=texts,
        features=features,
        numbers=numbers,
        label=label,
        kind=options.kind or label_kind(path, label, options, decimal),
        id_column=identifier,
        unused=tuple(unused),
        unused_features=columns_of_kinds(unused, decimal, "number", "category"),
        decimal=decimal,
    )
