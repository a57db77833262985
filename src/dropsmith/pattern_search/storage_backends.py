"""The open storage of a study: SQLite, a journal or PostgreSQL, for one coordinator at a time.

The journal is Optuna's, but its lines go to the operating system at once and to the disk when told.
A process that is killed loses nothing that the system has. A disk that is waited for at each line,
three times for each trial, is what would hold up a coordinator of a thousand workers.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from dropsmith.errors import MissingExtra, SearchError
from dropsmith.files import hold
from dropsmith.pattern_search.storage import StorageLocation, storage_error

_BUSY_TIMEOUT = 60
"""Seconds that SQLite waits for another process that is writing."""


@contextmanager
def open_storage(location: StorageLocation, study: str) -> Iterator[BaseStorage]:
    """Open the storage at a location, for one coordinator of this study at a time.

    Raises:
        SearchError: another process is running the study, or the storage cannot be opened.
        MissingExtra: the server's library is not installed.
    """
    if location.kind == "postgresql":
        with _postgresql(location, study) as storage:
            yield storage
        return
    try:
        Path(location.address).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(location, error) from None
    make = _journal if location.kind == "journal" else _sqlite
    with _alone(_lock_file(location, study), location, study), make(location) as storage:
        yield storage


def _lock_file(location: StorageLocation, study: str) -> str:
    # A journal is repaired by cutting its end off: nobody else may be writing there.
    return (
        f"{location.address}.running"
        if location.kind == "journal"
        else f"{location.address}.{study}.running"
    )


@contextmanager
def _alone(path: str, location: StorageLocation, study: str) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(hold(Path(path), _busy_error(location, study)))
        except OSError as error:
            raise storage_error(location, error) from None
        yield


def _busy_error(location: StorageLocation, study: str) -> SearchError:
    return SearchError(
        f"another process is running the search {study!r} in {location}\n"
        "  wait for it, or give this one another name or storage"
    )


@contextmanager
def _sqlite(location: StorageLocation) -> Iterator[RDBStorage]:
    waiting = {"connect_args": {"timeout": _BUSY_TIMEOUT}}
    with _database(f"sqlite:///{location.address}", location, waiting) as storage:
        yield storage


@contextmanager
def _postgresql(location: StorageLocation, study: str) -> Iterator[RDBStorage]:
    # A connection that broke while nothing was written is replaced without a word.
    with (
        _database(location.address, location, {"pool_pre_ping": True}) as storage,
        storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
    ):
        lock = text("select pg_try_advisory_lock(hashtext(:name))")
        if not connection.execute(lock, {"name": f"dropsmith {study}"}).scalar():
            raise _busy_error(location, study)
        yield storage


@contextmanager
def _database(
    url: str, location: StorageLocation, settings: Mapping[str, object]
) -> Iterator[RDBStorage]:
    try:
        storage = RDBStorage(url, engine_kwargs=dict(settings))
    except ImportError:
        raise MissingExtra("a study in PostgreSQL", "psycopg", "postgresql") from None
    except (SQLAlchemyError, OSError, ValueError) as error:  # the last: a port that is no number
        raise storage_error(location, error) from None
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def _journal(location: StorageLocation) -> Iterator[BaseStorage]:
    # Left by a coordinator that was killed as it wrote; Optuna would wait half a minute for it.
    with suppress(FileNotFoundError):
        Path(f"{location.address}.lock").unlink()
    try:
        location.repair()
        storage = JournalStorage(Journal(location.address))
    except (OSError, ValueError, KeyError) as error:  # a line that is no JSON, or no step of ours
        raise storage_error(location, error) from None
    yield storage


class Journal(JournalFileBackend):
    """A file of a line for each step, which no line waits for the disk to have."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._write_lock = JournalFileSymlinkLock(path)
        super().__init__(path, self._write_lock)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, whole before anybody else writes."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._write_lock.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(text.encode())
        finally:
            self._write_lock.release()
