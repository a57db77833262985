"""Folders as they are listed: without what is hidden, by name, with links followed."""

import os
from collections.abc import Iterator
from pathlib import Path

from dropsmith.errors import DataError

_SYSTEM_NAMES = ("__macosx", "$recycle.bin", "system volume information", "lost+found", "@eadir")


def display_path(path: Path) -> str:
    r"""A path as a message shows it: on one line, whatever characters its name holds.

    >>> display_path(Path("cats/a.png")), display_path(Path("a\nb.png"))
    ('cats/a.png', "'a\\nb.png'")
    """
    text = str(path)
    return text if text.isprintable() else repr(text)


def picture_folder(path: Path) -> Path:
    """The absolute path of a folder; `DataError` where there is none."""
    try:
        if path.is_dir():
            return path.resolve()
    except OSError as error:
        raise DataError(
            f"cannot read the folder {display_path(path)}\n  {error.strerror}"
        ) from None
    raise DataError(f"no folder {display_path(path)}")


def subfolders(folder: Path) -> dict[str, Path]:
    """The visible folders in a folder by name; `DataError` where it cannot be read."""
    return {e.name: Path(e.path) for e in visible_entries(folder) if is_folder(e)}


def visible_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What a folder holds and does not hide, by name; `DataError` where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise DataError(
            f"cannot read the folder {display_path(folder)}\n  {error.strerror}"
        ) from None
    yield from sorted(visible, key=lambda entry: entry.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether it is a folder or a link to one; `DataError` for a link that leads nowhere."""
    if not entry.is_symlink():
        return entry.is_dir()
    try:
        entry.stat()
        return entry.is_dir()
    except OSError as error:
        raise DataError(
            f"{display_path(Path(entry.path))} is a link that leads nowhere: {error.strerror}\n"
            "  remove it, or bring back what it links to"
        ) from None


def is_hidden(name: str) -> bool:
    """Say whether a file of this name is hidden, or a system's own."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES
