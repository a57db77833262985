"""The journal of a study: Optuna's, but its lines wait for no disk, and locks of others stay.

Its lines go to the operating system at once and to the disk when told.
A process that is killed loses nothing that the system has. A disk that is waited for at each line,
three times for each trial, is what would hold up a coordinator of a thousand workers.
"""

import errno
import json
import os
import socket
from collections.abc import Generator
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from dropsmith.errors import SearchError

_OURS = "dropsmith lock of "
_GRACE = 30.0
"""Seconds after which Optuna, too, takes a lock for one that was left behind."""


class Journal(JournalFileBackend):
    """A file of a line for each step, which no line waits for the disk to have."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._write_lock = JournalLock(path)
        self.line = 0
        super().__init__(path, self._write_lock)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """The steps from a line on; `line` is the one that is being read."""
        self.line = log_number_from + 1
        for number, log in enumerate(super().read_logs(log_number_from), log_number_from + 1):
            self.line = number
            yield log
            self.line = number + 1

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, whole before anybody else writes."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._write_lock.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(text.encode())
        finally:
            self._write_lock.release()


class JournalLock(JournalFileSymlinkLock):
    """A link beside a journal, where programs that use Optuna look for one; its text says ours.

    Args:
        path: of the journal.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._journal, self._path = Path(path), f"{path}.lock"
        self._text = f"{_OURS}{os.getpid()} on {socket.gethostname()}"

    def acquire(self) -> bool:
        """Take the lock as soon as no other program has it; `OSError` after half a minute."""
        start, wait = monotonic(), 0.001
        while True:
            try:
                os.symlink(self._text, self._path)
                return True
            except FileExistsError:
                if monotonic() - start > _GRACE:
                    raise OSError(errno.EBUSY, f"another program holds {self._path}") from None
            sleep(wait)
            wait = min(2 * wait, 1.0)

    def release(self) -> None:
        """Let go of the lock."""
        if os.path.islink(self._path) and os.readlink(self._path) == self._text:
            os.unlink(self._path)

    def remove_left(self) -> None:
        """Remove a lock that a search left as it was killed; the caller alone runs this study.

        Raises:
            SearchError: something else is there, which stays.
        """
        if not os.path.lexists(self._path):
            return
        text = os.readlink(self._path) if os.path.islink(self._path) else None
        # A link to the journal is Optuna's own lock, and was that of searches of version 1.
        by_optuna = text is not None and Path(text).name == self._journal.name
        if text is None or not (by_optuna or text.startswith(_OURS)):
            raise SearchError(
                f"{self._path} exists, but is not the lock of a search\n"
                "  remove it, or give this search another file"
            )
        if by_optuna and (seconds := time() - os.lstat(self._path).st_mtime) < _GRACE:
            raise SearchError(
                f"another program is writing to it, as {self._path} says\n"
                f"  where none is: try again in {_GRACE - seconds:.0f} s"
            )
        os.unlink(self._path)
