"""The check that a SQLite file is one of dropsmith's, before anything is changed."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from dropsmith.errors import SearchError, excerpt
from dropsmith.pattern_search.journal_lines import STUDY_NAME

_MAGIC = b"SQLite format 3\x00"
_BUSY_TIMEOUT = 60
"""Seconds that SQLite waits for another process that is writing."""


def connector(path: Path) -> Callable[[], sqlite3.Connection]:
    """A function that connects to the file of this very name, whatever characters it holds."""
    absolute = str(path.absolute())  # or `:memory:` would be no file
    return lambda: sqlite3.connect(
        absolute, timeout=_BUSY_TIMEOUT, check_same_thread=False, uri=False
    )


def check_sqlite(path: Path) -> None:
    """Raise `SearchError` if a file is there that holds no searches; nothing is changed.

    An empty file, and a database without tables, may come to hold some.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise SearchError("it is not a regular file")
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if not head:
        return
    if head != _MAGIC:
        raise SearchError("file is not a database")
    try:
        with _connection(path) as connection:
            _check_tables(connection)
    except sqlite3.Error as error:
        raise SearchError(str(error)) from None


@contextmanager
def _connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that leaves the file, and what lies beside it, as they are."""
    logs = [log for log in (Path(f"{path}-journal"), Path(f"{path}-wal")) if log.exists()]
    if not logs:
        address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            yield connection
        return
    # What a killed process was writing is mended by whoever opens the file: here in a copy.
    with TemporaryDirectory() as folder:
        for part in (path, *logs):
            shutil.copyfile(part, Path(folder, part.name.replace(path.name, "copy", 1)))
        with closing(sqlite3.connect(Path(folder, "copy"))) as connection:
            yield connection


def _check_tables(connection: sqlite3.Connection) -> None:
    from optuna.storages._rdb.models import BaseModel

    rows = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
    tables = {name for (name,) in rows if not name.startswith("sqlite_")}
    (application,) = connection.execute("pragma application_id").fetchone()
    other = sorted(tables - {*BaseModel.metadata.tables, "alembic_version"})
    if other or application:
        reason = f"it has the table {excerpt(other[0])}" if other else f"its id is {application}"
        raise SearchError(f"it is a database of another application: {reason}")
    for name in sorted(tables & BaseModel.metadata.tables.keys()):
        expected = {column.name for column in BaseModel.metadata.tables[name].columns}
        columns = {row[1] for row in connection.execute(f"pragma table_info('{name}')")}
        if lacking := sorted(expected - columns):
            raise SearchError(
                f"it is a database of another application: its table {excerpt(name)} has no "
                f"column {excerpt(lacking[0])}"
            )
    if "studies" not in tables:
        return
    names = [name for (name,) in connection.execute("select study_name from studies")]
    if names and not any(isinstance(n, str) and STUDY_NAME.fullmatch(n) for n in names):
        raise SearchError(
            f"it is a database of Optuna without searches of dropsmith: it has {excerpt(names[0])}"
        )
