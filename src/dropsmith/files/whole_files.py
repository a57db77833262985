"""Files that are written whole or not at all, even where the disk fills up or the power fails."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from dropsmith.files.system_faults import system_fault

_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.(\d+)\.partial")
"""The name of a temporary file, with the process that writes it."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to in a `with` block, whose file takes the place of `path` at its end.

    The temporary file lies beside `path`, has a name that no other process has, and goes where the
    block fails. A link at `path` is replaced, not followed.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scores.txt"
    >>> with whole_file(path) as partial:
    ...     _ = partial.write_text("0.5")
    >>> path.read_text(), [file.name for file in path.parent.iterdir()]
    ('0.5', ['scores.txt'])

    Raises:
        OSError: the file cannot be written; one that was there before is as it was.
    """
    partial = path.with_name(f".{token_hex(8)}.{os.getpid()}.partial")
    try:
        yield partial
        _wait_for_disk(partial)
        partial.replace(path)
    except OSError as error:
        fault = system_fault(error)
        if fault is not None and error.filename in (None, str(partial), partial):
            # People know the file by its other name.
            raise OSError(fault.errno, fault.strerror, str(path)) from None
        raise
    finally:
        with suppress(OSError):  # it is gone where all went well
            partial.unlink()
    _wait_for_disk(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 to a file, whole or not at all.

    Raises:
        OSError: the file cannot be written; one that was there before is as it was.
    """
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in a folder, and in those in it, whose processes were killed.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / f".{token_hex(8)}.999999999.partial").touch()
    >>> remove_leftovers(folder)
    >>> list(folder.iterdir())
    []
    """
    for path in (*folder.glob(".*.partial"), *folder.glob("*/.*.partial")):
        match = _TEMPORARY.fullmatch(path.name)
        with suppress(OSError):  # it is gone, or its folder belongs to somebody else
            if match is not None and not _is_written(path, int(match[1])):
                path.unlink()


def _is_written(path: Path, process: int) -> bool:
    """True if a process on this machine may be writing a file, and has not merely its number."""
    import psutil

    try:
        return psutil.Process(process).create_time() <= path.stat().st_mtime
    except (psutil.Error, OverflowError):
        return False


def _wait_for_disk(path: Path) -> None:
    # A folder is waited for as well, or its new name may be lost; Windows cannot open one.
    if path.is_dir() and os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
