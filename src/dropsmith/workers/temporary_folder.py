"""The folder for the sockets of workers, which is named after its process.

`multiprocessing` removes its folder when its process ends, but not when it is killed. Folders of
killed processes are removed when workers start again.
"""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import current_process
from multiprocessing.util import Finalize
from pathlib import Path
from zlib import crc32

_NAME = re.compile(r"dropsmith-([0-9a-f]{8})-(\d+)-\w+")
_AFTER_ALL_ELSE = -1000


@contextmanager
def folder_of_process() -> Iterator[None]:
    """Let `multiprocessing` put its folder for sockets into one named after the process.

    Raises:
        OSError: no folder can be made.
    """
    if current_process()._config.get("tempdir"):  # pyright: ignore - it has one already
        yield
        return
    before = tempfile.tempdir
    _remove_left(Path(tempfile.gettempdir()))
    folder = tempfile.mkdtemp(prefix=f"dropsmith-{_machine()}-{os.getpid()}-")
    Finalize(None, shutil.rmtree, (folder, True), exitpriority=_AFTER_ALL_ELSE)
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before


def _remove_left(place: Path) -> None:
    """Remove the folders of processes of this machine that have ended."""
    for folder in place.glob(f"dropsmith-{_machine()}-*"):
        match = _NAME.fullmatch(folder.name)
        if match is not None and not folder.is_symlink() and not _lives(int(match[2]), folder):
            shutil.rmtree(folder, ignore_errors=True)


def _machine() -> str:
    # Containers may share the temporary folder, but do not see each other's processes.
    return f"{crc32(socket.gethostname().encode()):08x}"


def _lives(process: int, folder: Path) -> bool:
    """True if the process of a folder still runs, and its number is not that of a later one."""
    import psutil

    try:
        return psutil.Process(process).create_time() <= folder.stat().st_mtime + 1
    except (psutil.Error, OverflowError, OSError):
        return False
