"""Where a study lives: a SQLite file, a journal file, or a PostgreSQL server, by address."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dropsmith.errors import MissingExtra, SearchError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

DEFAULT = Path("runs") / "search.db"

_PATIENCE = 60
"""Seconds that SQLite waits for somebody else who is writing."""


@dataclass(frozen=True)
class Place:
    """Where a study lives.

    Args:
        kind: `sqlite`, `journal` or `postgresql`.
        where: a file's path, or the address of a server.
    """

    kind: str
    where: str

    def __str__(self) -> str:
        if self.kind == "journal":
            return f"journal:{self.where}"
        return _hidden(self.where)

    def mend(self) -> None:
        """Take off what is left of a line that was cut short as it was written."""
        if self.kind == "journal":
            _cut_partial_line(Path(self.where))

    def settle(self) -> None:
        """Wait until the disk has what was written; a database has seen to that itself."""
        if self.kind == "journal":
            from dropsmith.search.journal import settle

            settle(Path(self.where))


def place_of(address: str | Path) -> Place:
    """What an address means.

    >>> place_of("journal:runs/search.log")
    Place(kind='journal', where='runs/search.log')

    Raises:
        SearchError: it means nothing.
    """
    text = str(address)
    if text.startswith("journal:"):
        return Place("journal", text.removeprefix("journal:"))
    if text.startswith("sqlite:///"):
        return Place("sqlite", text.removeprefix("sqlite:///"))
    if re.match(r"postgres(ql)?(\+\w+)?://", text):
        return Place("postgresql", re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text))
    if "://" in text or not text:
        raise SearchError(
            f"a study cannot be stored at {_hidden(text)!r}\n"
            "  give a file, journal:FILE, or postgresql://USER@HOST/DATABASE"
        )
    return Place("sqlite", text)


@contextmanager
def opened(place: Place, study: str) -> "Iterator[BaseStorage]":
    """The storage at a place, for one coordinator of this study at a time.

    Raises:
        SearchError: another process is running the study, or there is nothing to be opened.
        MissingExtra: the server's library is not installed.
    """
    if place.kind == "postgresql":
        with _on_server(place, study) as storage:
            yield storage
        return
    try:
        Path(place.where).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(place, error) from None
    make = _journal if place.kind == "journal" else _sqlite
    with _alone(_lock_file(place, study), place, study), make(place) as storage:
        yield storage


def _lock_file(place: Place, study: str) -> str:
    # A journal is mended by cutting its end off: nobody else may be writing there.
    return f"{place.where}.running" if place.kind == "journal" else f"{place.where}.{study}.running"


@contextmanager
def _alone(path: str, place: Place, study: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise _taken(place, study) from None
    except OSError as error:  # after `Timeout`, which is one
        raise unusable(place, error) from None
    try:
        yield
    finally:
        lock.release()


def _taken(place: Place, study: str) -> SearchError:
    return SearchError(
        f"another process is running the search {study!r} in {place}\n"
        "  wait for it, or give this one another name or storage"
    )


@contextmanager
def _sqlite(place: Place) -> "Iterator[RDBStorage]":
    waiting = {"connect_args": {"timeout": _PATIENCE}}
    with _database(f"sqlite:///{place.where}", place, waiting) as storage:
        yield storage


@contextmanager
def _on_server(place: Place, study: str) -> "Iterator[RDBStorage]":
    from sqlalchemy import text

    # A connection that broke while nothing was written is replaced without a word.
    with (
        _database(place.where, place, {"pool_pre_ping": True}) as storage,
        storage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as held,
    ):
        ask = text("select pg_try_advisory_lock(hashtext(:name))")
        if not held.execute(ask, {"name": f"dropsmith {study}"}).scalar():
            raise _taken(place, study)
        yield storage


@contextmanager
def _database(url: str, place: Place, settings: Mapping[str, object]) -> "Iterator[RDBStorage]":
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage = RDBStorage(url, engine_kwargs=dict(settings))
    except ImportError:
        raise MissingExtra("a study in PostgreSQL", "psycopg", "postgresql") from None
    except (SQLAlchemyError, OSError, ValueError) as error:  # the last: a port that is no number
        raise unusable(place, error) from None
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def _journal(place: Place) -> "Iterator[BaseStorage]":
    from optuna.storages import JournalStorage

    from dropsmith.search.journal import Journal

    # Left by a coordinator that was killed as it wrote; Optuna would wait half a minute for it.
    with suppress(FileNotFoundError):
        Path(f"{place.where}.lock").unlink()
    try:
        place.mend()
        storage = JournalStorage(Journal(place.where))
    except (OSError, ValueError, KeyError) as error:  # a line that is no JSON, or no step of ours
        raise unusable(place, error) from None
    yield storage


def unusable(place: Place, error: BaseException) -> SearchError:
    """What is said of a place that cannot be opened or written to."""
    # What follows the first @ is read as the host, which a driver repeats in what it says.
    cut = re.search(r"://[^:/]*:.*@.*@", place.where)
    said = "an @ in a name or a password is written %40" if cut else why(error)
    return SearchError(f"cannot open a study in {place}\n  {said}")


def writing_errors() -> tuple[type[Exception], ...]:
    """What a storage raises where it cannot read or write."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return OSError, SQLAlchemyError, StorageInternalError


def why(error: BaseException) -> str:
    """What a storage says is wrong, in a line and without what Optuna guesses about it."""
    cause = error.__cause__ or error
    said = str(getattr(cause, "orig", None) or cause)
    return next(iter(said.splitlines()), type(cause).__name__)


def _hidden(address: str) -> str:
    """An address without its password, wherever it stands, and up to the last @ it may hold."""
    asked = re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", address)
    return re.sub(r"(://[^:/]*):.*@", r"\1:***@", asked)


def _cut_partial_line(path: Path) -> None:
    if not path.exists():
        return
    text = path.read_bytes()
    whole = text.rfind(b"\n") + 1
    # Optuna would pass over a last line that is no JSON, and fail at the next.
    json.loads(text[:whole].splitlines()[-1] if whole else b"{}")
    if whole < len(text):
        with path.open("rb+") as file:
            file.truncate(whole)
