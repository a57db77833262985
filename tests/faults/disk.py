"""A disk on which one operation fails, whichever it is."""

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest

FAULTS = ("ENOSPC", "EDQUOT", "EIO", "EROFS", "ENAMETOOLONG")


class Disk:
    """The operations below a folder that change it, of which one fails.

    Args:
        folder: all others are left alone.

    Attributes:
        count: the number of operations so far.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._error, self._last = str(folder), "", 0
        self._first, self.count, self.failed = 0, 0, False

    def fail(self, first: int, name: str, *, last: int | None = None) -> None:
        """Fail from operation `first` up to `last`, or `first` alone, with an error of a name.

        The name may be `interrupt` for one from the keyboard.
        """
        self.count, self.failed = 0, False
        self._first, self._last, self._error = first, first if last is None else last, name

    def step(self, path: Any) -> None:
        """Count an operation on a path, or fail."""
        if isinstance(path, int) or not os.fspath(path).startswith(self._folder):
            return
        self.count += 1
        if not self._first <= self.count <= self._last:
            return
        self.failed = True
        if self._error == "interrupt":  # Python raises it in the main thread alone
            if current_thread() is main_thread():
                raise KeyboardInterrupt
            return
        number = getattr(errno, self._error)
        raise OSError(number, os.strerror(number), os.fspath(path))


@contextmanager
def faulty_disk(folder: Path) -> Iterator[Disk]:
    """A disk under a folder; nothing fails on it until it is told."""
    disk = Disk(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("mkdir", "replace"):
            patch.setattr(os, name, _watched(disk, getattr(os, name)))
        patch.setattr(os, "open", _watched_open(disk, os.open))
        patch.setattr(io, "open", _watched_file(disk, io.open))
        patch.setattr(os, "fsync", _watched_fsync(disk, os.fsync))
        yield disk


def _watched(disk: Disk, call: Callable[..., Any]) -> Callable[..., Any]:
    def operation(path: Any, *args: Any, **kwargs: Any) -> Any:
        disk.step(path)
        return call(path, *args, **kwargs)

    return operation


def _watched_open(disk: Disk, call: Callable[..., int]) -> Callable[..., int]:
    def operation(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            disk.step(path)
        return call(path, flags, *args, **kwargs)

    return operation


class _HalfWritten:
    """A file in which half of what is written to it stands where the disk fails."""

    def __init__(self, disk: Disk, file: Any, path: Any) -> None:
        self._disk, self._file, self._path = disk, file, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: Any) -> int:
        try:
            self._disk.step(self._path)
        except BaseException:
            self._file.write(content[: len(content) // 2])
            self._file.flush()
            raise
        return self._file.write(content)


def _watched_file(disk: Disk, call: Callable[..., Any]) -> Callable[..., Any]:
    def operation(path: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not set(mode) & set("wax+"):
            return call(path, mode, *args, **kwargs)
        disk.step(path)
        return _HalfWritten(disk, call(path, mode, *args, **kwargs), path)

    return operation


def _watched_fsync(disk: Disk, call: Callable[[int], None]) -> Callable[[int], None]:
    def operation(handle: int) -> None:
        disk.step(os.readlink(f"/proc/self/fd/{handle}"))
        call(handle)

    return operation
