"""The rows of a user's own tables, divided into training, validation and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.data.table_layout import TableLayout
from dropsmith.tasks.data.table_parts import first_table, part_tables
from dropsmith.tasks.data.tables import shown, table_rows
from dropsmith.tasks.text.division import divide, group_names
from dropsmith.tasks.text.label_checks import ClassSpellings, Place, value_of
from dropsmith.tasks.text.notes import Notes, unlabelled_note
from dropsmith.tasks.text.part_notes import format_note, split_words
from dropsmith.tasks.text.parts import Parts
from dropsmith.tasks.text.row_keys import count_left_out, drop_rows, keys_of_parts
from dropsmith.tasks.text.tables import read_table

_FEW = 30
"""Different inputs among which a part may stay empty by the hash."""


@dataclass(frozen=True, kw_only=True)
class OwnRows:
    """The rows of a user's own tables.

    Args:
        parts: of training, validation and test: the cells of each row as one text, and its label.
        notes: what was found, each with a word for what it is about.
        left_out: how many rows of each part were left out, because another part has them too.
    """

    parts: Parts
    notes: Notes
    left_out: Mapping[str, int]


def read_own_rows(path: Path, layout: TableLayout, options: DataOptions) -> OwnRows:
    """The rows of a table, or of the tables in a folder.

    Parts that there are stay. One that is missing is cut from training, and a single table is
    divided: by a hash of each input, so that equal inputs are in one part. Of texts, training
    keeps none that validation or test have too; rows of numbers may be equal by chance, and stay
    unless options say otherwise.

    Raises:
        DataError: a table cannot be read, or its columns are not those of training.
    """
    tables = part_tables(path, options)
    _check_columns(tables, layout, options, first_table(path, options))
    unlabelled: list[Place] = []
    check = ClassSpellings() if layout.kind == "classification" else value_of
    parts = {
        part: [
            row
            for table in files
            for row in read_table(
                table,
                (),
                layout.label,
                columns=layout.columns,
                options=options,
                check=check,
                unlabelled=unlabelled,
                blanks=layout.features,
                numbers=layout.number_columns,
            )
        ]
        for part, files in tables.items()
    }
    texts = len(layout.texts)
    divided = divide(parts, partial(group_names, texts=texts))
    _check_divided(divided, path)
    notes = (
        *format_note(first_table(path, options), layout, options),
        ("split", split_words(parts, tables, "text" if texts else "row")),
        *unlabelled_note(len(unlabelled)),
    )
    drop = options.drop_repeats or ("train" if texts else None)
    if drop is None:
        return OwnRows(parts=divided, notes=notes, left_out={})
    kept = drop_rows(divided, keys_of_parts(divided, texts), drop, "text" if texts else "row")
    return OwnRows(parts=kept, notes=notes, left_out=count_left_out(divided, kept))


def _check_divided(parts: Parts, path: Path) -> None:
    inputs = {cells for rows in parts.values() for cells, _ in rows}
    if inputs and len(inputs) <= _FEW and (empty := [part for part in PARTS if not parts[part]]):
        count = sum(map(len, parts.values()))
        raise DataError(
            f"the {count:,} rows of {path} hold {len(inputs)} different inputs, and equal ones are "
            f"kept in one part: no {empty[0]} example is left\n"
            "  name the files of the parts: --data, --validation, --test"
        )


def _check_columns(
    tables: Mapping[str, Sequence[Path]], layout: TableLayout, options: DataOptions, first: Path
) -> None:
    for table in (table for files in tables.values() for table in files):
        rows = table_rows(
            table, options.bounds, delimiter=options.delimiter, encoding=options.encoding
        )
        _, row = next(rows, (0, None))
        if row is None:
            raise DataError(f"no rows in {table}")
        if missing := [name for name in layout.columns if name not in row]:
            raise DataError(
                f"the column {missing[0]!r} of {first} is not in {table}\n"
                f"  its columns are: {shown(row)}"
            )
        if layout.label not in row:
            raise DataError(
                f"no column {layout.label!r} in {table}: without labels nothing can be scored\n"
                f"  its columns are: {shown(row)}\n"
                "  to train without it, give the other tables by name: --data, --validation, "
                "--test; to predict it then: dropsmith predict RUN FILE"
            )
