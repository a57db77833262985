"""The location of a study's storage: a SQLite file, a journal file or a PostgreSQL server."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from dropsmith.errors import SearchError, excerpt
from dropsmith.instances import check_type, checked_path
from dropsmith.pattern_search.journal_lines import cut_partial_line

DEFAULT = Path("runs") / "search.db"


@dataclass(frozen=True)
class StorageLocation:
    """The location of a study.

    Args:
        kind: `sqlite`, `journal` or `postgresql`.
        address: a file's path, or the URL of a server.
    """

    kind: str
    address: str

    def __str__(self) -> str:
        if self.kind == "journal":
            return f"journal:{self.address}"
        return _hidden(self.address) if self.kind == "postgresql" else self.address

    def repair(self) -> None:
        """Cut off the rest of a line whose write was cut short.

        Raises:
            SearchError: what is there is not the rest of a line of ours; it stays.
        """
        if self.kind == "journal":
            try:
                cut_partial_line(Path(self.address))
            except SearchError as error:
                raise storage_error(self, error) from None

    def sync(self) -> None:
        """Wait until the disk has what was written; a database does so itself."""
        if self.kind == "journal":
            with Path(self.address).open("ab") as file:
                os.fsync(file.fileno())


def parse_location(address: str | Path) -> StorageLocation:
    """The location that an address stands for; a SQLite file may have any name.

    >>> parse_location("journal:runs/search.log")
    StorageLocation(kind='journal', address='runs/search.log')

    Raises:
        SearchError: it is no location.
    """
    if isinstance(address, Path):
        return StorageLocation("sqlite", str(checked_path("storage", address)))
    check_type("storage", address, str, "a file, an address, or a storage of Optuna's")
    text = address
    for start, kind in (("journal:", "journal"), ("sqlite:///", "sqlite")):
        if text.startswith(start):
            checked_path("storage", text.removeprefix(start))
            return StorageLocation(kind, text.removeprefix(start))
    if re.match(r"postgres(ql)?(\+\w+)?://", text):
        return StorageLocation(
            "postgresql", re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text)
        )
    if "://" in text or not text:
        raise SearchError(
            f"a study cannot be stored at {excerpt(_hidden(text))}\n"
            "  give a file, journal:FILE, or postgresql://USER@HOST/DATABASE"
        )
    checked_path("storage", text)
    return StorageLocation("sqlite", text)


def check_storage(storage: object) -> None:
    """Raise `ArgumentError` unless this is a storage of Optuna's."""
    from optuna.storages import BaseStorage

    words = "a file, an address, or a storage of Optuna's"
    check_type("storage", storage, BaseStorage, words)


def storage_error(location: StorageLocation, error: BaseException) -> SearchError:
    """The error for a location that cannot be opened or written to."""
    # What follows the first @ is read as the host, which a driver repeats in what it says.
    cut = location.kind == "postgresql" and re.search(r"://[^:/]*:.*@.*@", location.address)
    if isinstance(error, SearchError):
        return SearchError(f"cannot open a study in {location}\n  {error}")
    fault = "an @ in a name or a password is written %40" if cut else fault_of(error)
    return SearchError(f"cannot open a study in {location}\n  {fault}")


def storage_exceptions() -> tuple[type[Exception], ...]:
    """The exceptions of a storage that cannot read or write."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return OSError, SQLAlchemyError, StorageInternalError


def fault_of(error: BaseException) -> str:
    """The fault as the storage names it, in a line and without Optuna's guess about it."""
    cause = error.__cause__ or error
    message = str(getattr(cause, "orig", None) or cause)
    return next(iter(message.splitlines()), type(cause).__name__)


def _hidden(address: str) -> str:
    """An address without its password, wherever it stands, and up to the last @ it may hold."""
    without_query = re.sub(r"([?&](?:ssl)?password=)[^&]*", r"\1***", address)
    return re.sub(r"(://[^:/]*):.*@", r"\1:***@", without_query)
