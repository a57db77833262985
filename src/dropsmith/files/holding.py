"""Folders and files in the hands of one process at a time, and what a killed one left there.

A hold is a lock of the operating system on a small file: it ends with its process, however that
ends. Nobody who only reads looks at it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropsmith.errors import BusyError, DropsmithError
from dropsmith.files.whole_files import remove_leftovers

LOCK = ".running"
"""The file in a folder by which it is held."""


@contextmanager
def hold(path: Path, busy: DropsmithError) -> Iterator[None]:
    """Hold the lock file at a path for the length of a `with` block.

    Args:
        path: of the file, which is made, and stays.
        busy: is raised where another has it.

    Raises:
        OSError: there can be no such file.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise busy from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def hold_folder(
    folder: Path, advice: str = "wait for it, or name another folder"
) -> Iterator[None]:
    """Hold a folder for the length of a `with` block; temporary files are gone before and after.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with hold_folder(folder), hold_folder(folder):
    ...     pass
    Traceback (most recent call last):
    dropsmith.errors.BusyError: another process is making runs in ...
      wait for it, or name another folder

    Args:
        folder: is made where there is none.
        advice: the last line of the error.

    Raises:
        BusyError: another has it.
        OSError: it cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    busy = BusyError(f"another process is making runs in {folder}\n  {advice}")
    with hold(folder / LOCK, busy):
        remove_leftovers(folder)
        try:
            yield
        finally:
            remove_leftovers(folder)
