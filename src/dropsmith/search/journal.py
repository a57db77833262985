"""Optuna's journal, whose lines go to the operating system at once and to the disk when told.

A process that is killed loses nothing that the system has. A disk that is waited for at each line,
three times for each trial, is what would hold up a coordinator of a thousand workers.
"""

import json
import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock


class Journal(JournalFileBackend):
    """A file of a line for each step."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._writing = JournalFileSymlinkLock(path)
        super().__init__(path, self._writing)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines, whole before anybody else writes."""
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._writing.acquire()
        try:
            with self._path.open("ab") as file:
                file.write(text.encode())
        finally:
            self._writing.release()


def settle(path: Path) -> None:
    """Wait until the disk has all lines."""
    with path.open("ab") as file:
        os.fsync(file.fileno())
