"""Tables in Parquet files, read through pyarrow."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError, MissingExtra, first_repeated
from dropsmith.tasks.data.bounds import Bounds

_BATCH = 4_096
"""Rows that are read at a time."""


def parquet_rows(path: Path, bounds: Bounds) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of a Parquet file, each with its number from 1.

    Raises:
        DataError: it is damaged, has two columns of one name, or is too large.
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingExtra(f"the table {path}", "pyarrow", "parquet") from None
    try:
        with ParquetFile(path) as file:
            _check(file, path, bounds)
            number = 0
            for batch in file.iter_batches(_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = str(error).partition("\n")[0]
        raise DataError(f"cannot read {path}\n  {reason}") from None


def _check(file: Any, path: Path, bounds: Bounds) -> None:
    data = file.metadata
    size = sum(data.row_group(i).total_byte_size for i in range(data.num_row_groups))
    if data.num_rows > bounds.rows:
        raise bounds.excess("rows", str(path))
    if max(size, path.stat().st_size) > bounds.bytes:
        raise bounds.excess("bytes", str(path))
    names = file.schema_arrow.names
    if (twice := first_repeated(names)) is not None:
        raise DataError(
            f"{names.count(twice)} columns of {path} are called {twice[:60]!r}\n"
            "  give each a name of its own"
        )
