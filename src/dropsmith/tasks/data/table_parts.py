"""The tables of a data set: one file, or a folder with files for training, validation and test."""

from collections.abc import Hashable
from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.data.file_cache import stamps
from dropsmith.tasks.data.tables import SUFFIXES, is_table, shown

_STEMS = {
    "train": ("train",),
    "validation": ("dev", "val"),
    "test": ("test",),
    "all": ("all",),
}

_WHOLE_STEMS = (
    *("train", "training", "dev", "val", "valid", "validation", "test", "testing", "all"),
)
"""Names of JSON files that are tables; others in the same folder are settings more often."""


def part_tables(path: Path) -> dict[str, list[Path]]:
    """The tables of each part; of `all`, where the path is that of one table.

    In a folder they are known by the beginnings of their names: train, valid or dev, test, or all.
    A table that is alone in its folder may be called otherwise.

    Raises:
        DataError: there is no table, or none whose name says its part.
    """
    if path.is_file():
        return {"all": [path]}
    if not path.is_dir():
        raise DataError(f"no file or folder {path}")
    tables = _tables(path)
    parts = {
        part: [table for table in tables if table.name.lower().startswith(stems)]
        for part, stems in _STEMS.items()
    }
    present = {part: of_part for part, of_part in parts.items() if of_part}
    if not present and len(tables) == 1:
        return {"all": tables}
    if not present and tables:
        raise DataError(
            f"the tables in {path} are not called by their parts: "
            f"{shown([table.name for table in tables])}\n"
            "  call them train, valid and test, or give the path of one table"
        )
    if not present:
        raise DataError(
            f"no table in {path}\n  looked for: train, valid and test, or all, with a name in "
            f"{', '.join(SUFFIXES)}, perhaps with .gz"
        )
    return present


def holds_tables(path: Path) -> bool:
    """True of a table, and of a folder whose tables are its data and not beside pictures."""
    if path.is_file():
        return True
    if not path.is_dir() or not (tables := _tables(path)):
        return False
    stems = tuple(stem for part in _STEMS.values() for stem in part)
    if any(table.name.lower().startswith(stems) for table in tables):
        return True
    return not any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir())


def _tables(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.iterdir())
        if is_table(file) and not file.name.startswith(".") and _is_data(file)
    ]


def _is_data(file: Path) -> bool:
    stem, *suffixes = file.name.lower().split(".")
    return suffixes[:1] != ["json"] or stem in _WHOLE_STEMS


def first_table(path: Path) -> Path:
    """The table that a data set's columns are found in: the first of training."""
    tables = part_tables(path)
    order = ("train", "all", "validation", "test")
    return next(tables[part][0] for part in order if part in tables)


def file_states(path: Path) -> Hashable:
    """The states of the tables, by which a cache sees that one has changed."""
    return tuple(stamps(table) for tables in part_tables(path).values() for table in tables)
