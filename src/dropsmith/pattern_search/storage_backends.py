"""The open storage of a study: SQLite, a journal or PostgreSQL, for one coordinator at a time.

A file that is there already is looked at first: one of somebody else's is refused, and stays as it
is to the byte, without a lock beside it.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from sqlalchemy import QueuePool, text

from dropsmith.errors import MissingExtra, SearchError, excerpt
from dropsmith.files import hold
from dropsmith.pattern_search.journal_file import Journal, JournalLock
from dropsmith.pattern_search.journal_lines import check_journal
from dropsmith.pattern_search.sqlite_file import check_sqlite, connector
from dropsmith.pattern_search.storage import StorageLocation, storage_error


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
    make, check = (
        (_journal, check_journal) if location.kind == "journal" else (_sqlite, check_sqlite)
    )
    path, lock = Path(location.address), _lock_file(location, study)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check(path)
        _check_lock(Path(lock))
    except (OSError, ValueError) as error:
        raise storage_error(location, error) from None
    with _alone(lock, location, study), make(location) as storage:
        yield storage


def _lock_file(location: StorageLocation, study: str) -> str:
    # A journal is repaired by cutting its end off: nobody else may be writing there.
    return (
        f"{location.address}.running"
        if location.kind == "journal"
        else f"{location.address}.{study}.running"
    )


def _check_lock(path: Path) -> None:
    """Raise `SearchError` if the path of the lock has something else."""
    if not path.is_symlink() and not path.exists():
        return
    # An empty file; where the file system has no locks, it names the process that made it.
    if path.is_symlink() or not path.is_file() or path.read_bytes()[:1] not in _FIRST_OF_LOCK:
        raise SearchError(
            f"{path} exists, but is not the lock of a search\n"
            "  remove it, or give this search another name or file"
        )


_FIRST_OF_LOCK = (b"", *(bytes([digit]) for digit in b"0123456789"))


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
        f"another process is running the search {excerpt(study)} in {location}\n"
        "  wait for it, or give this one another name or storage"
    )


@contextmanager
def _sqlite(location: StorageLocation) -> Iterator[RDBStorage]:
    # The name goes past the URL, where `?`, `#`, `%` and braces would mean something.
    settings = {"creator": connector(Path(location.address)), "poolclass": QueuePool}
    with _database("sqlite://", location, settings) as storage:
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
    except Exception as error:  # of the driver, of SQLAlchemy, of Optuna or of its migrations
        raise storage_error(location, error) from None
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def _journal(location: StorageLocation) -> Iterator[BaseStorage]:
    try:
        JournalLock(location.address).remove_left()
        journal = Journal(location.address)
    except (OSError, ValueError) as error:
        raise storage_error(location, error) from None
    try:
        storage = JournalStorage(journal)
    except OSError as error:
        raise storage_error(location, error) from None
    except Exception as error:  # Optuna takes each line for right, and ends in any error
        reason = f"line {journal.line} is no step of a study: {type(error).__name__}: {error}"
        raise storage_error(location, SearchError(reason)) from None
    try:
        location.repair()
    except OSError as error:
        raise storage_error(location, error) from None
    yield storage
