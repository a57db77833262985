"""The tables of a data set: one file, or a folder with files for training, validation and test."""

import re
from collections.abc import Hashable
from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.file_cache import stamps
from dropsmith.tasks.data.tables import SUFFIXES, is_table, shown

_WORDS = {
    "train": ("train", "training"),
    "validation": ("dev", "devel", "development", "val", "valid", "validate", "validation"),
    "test": ("test", "tests", "testing"),
    "all": ("all",),
}
"""What the names of the tables of a part begin with: `dev.csv`, `dev_matched.tsv`."""


def _part_named(file: Path) -> str | None:
    """The part that the name of a table says.

    >>> [_part_named(Path(name)) for name in ("train-00001.csv", "Dev.csv", "values.csv")]
    ['train', 'validation', None]
    """
    first = re.match("[a-z]*", file.name.lower())
    return next((part for part, words in _WORDS.items() if first and first[0] in words), None)


def part_tables(path: Path, options: DataOptions = NO_OPTIONS) -> dict[str, list[Path]]:
    """The tables of each part; of `all`, where the path is that of one table.

    In a folder they are known by the beginnings of their names: train, valid or dev, test, or all.
    A table that is alone in its folder may be called otherwise. Tables of validation and test may
    also be named by options; what is at the path is then the training table.

    Raises:
        DataError: there is no table, none whose name says its part, or one is named for two parts.
    """
    tables = _tables_at(path)
    named = {
        part: Path(place)
        for part, place in (("validation", options.validation), ("test", options.test))
        if place is not None
    }
    if not named:
        return tables
    if "all" in tables:
        tables = {"train": tables["all"]}
    for part, place in named.items():
        if part in tables:
            raise DataError(
                f"two tables are named for {part}: {tables[part][0]} and {place}\n"
                f"  leave --{part} out, or give the path of the training table alone"
            )
        if not place.is_file():
            raise DataError(f"no file {place}\n  it was given as --{part}")
        if same := [p for p, files in tables.items() for f in files if f.samefile(place)]:
            raise DataError(
                f"{place} is named for two parts: {same[0]} and {part}\n"
                "  a model is scored on examples that it has not seen: name another file"
            )
        tables[part] = [place]
    return tables


def _tables_at(path: Path) -> dict[str, list[Path]]:
    if path.is_file():
        return {"all": [path]}
    if not path.is_dir():
        raise DataError(f"no file or folder {path}")
    tables = _tables(path)
    parts = {part: [table for table in tables if _part_named(table) == part] for part in _WORDS}
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
    if any(map(_part_named, tables)):
        return True
    return not any(entry.is_dir() and not entry.name.startswith(".") for entry in path.iterdir())


def _tables(folder: Path) -> list[Path]:
    return [
        file
        for file in sorted(folder.iterdir())
        if is_table(file) and not file.name.startswith(".") and _is_data(file)
    ]


def _is_data(file: Path) -> bool:
    """True of tables; JSON files of other names in the same folder are settings more often."""
    stem, *suffixes = file.name.lower().split(".")
    return suffixes[:1] != ["json"] or any(stem in words for words in _WORDS.values())


def first_table(path: Path, options: DataOptions = NO_OPTIONS) -> Path:
    """The table that a data set's columns are found in: the first of training."""
    tables = part_tables(path, options)
    order = ("train", "all", "validation", "test")
    return next(tables[part][0] for part in order if part in tables)


def file_states(path: Path, options: DataOptions = NO_OPTIONS) -> Hashable:
    """The states of the tables, by which a cache sees that one has changed."""
    parts = part_tables(path, options)
    return tuple(stamps(table) for tables in parts.values() for table in tables)
