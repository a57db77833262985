"""Which files of a folder are pictures, and of which class: the same on every file system."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from unicodedata import normalize

from dropsmith.errors import DataError
from dropsmith.tasks.images.folders import (
    display_path,
    is_folder,
    is_hidden,
    subfolders,
    visible_entries,
)

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")

_UNREAD = (
    *(".heic", ".heif", ".jfif", ".jpe", ".jp2", ".jxl", ".dcm", ".nii", ".svg", ".psd", ".tga"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".npy", ".exr", ".hdr", ".dng", ".cr2", ".nef"),
)


def find_pictures(folder: Path, layout: str = "<class>/<picture>") -> dict[str, list[Path]]:
    """The pictures of each class: files in the subfolders of a folder, in the order of their names.

    Hidden files and folders are no pictures and no classes. A subfolder may hold none.

    Args:
        folder: of classes.
        layout: of the folder that a user gave, for messages.

    Raises:
        DataError: a folder cannot be read; no picture is there; a picture is a folder, a pipe or a
            link to nothing; pictures lie deeper; two classes differ in case alone.
    """
    folders = subfolders(folder) if folder.is_dir() else {}
    entries = {name: list(visible_entries(path)) for name, path in folders.items()}
    classes = {name: _pictures_of_class(files, layout) for name, files in entries.items()}
    _tell_unread(chain.from_iterable(entries.values()))
    _check_names(list(classes), folder)
    if not any(classes.values()):
        raise DataError(
            f"no pictures in {display_path(folder)}\n"
            f"  looked for: {layout} with a name in {', '.join(SUFFIXES)}"
        )
    return classes


def check_filled(*parts: Mapping[str, list[Path]]) -> None:
    """Raise `DataError` if a class that has a folder has no picture in any part."""
    filled = {name for classes in parts for name, pictures in classes.items() if pictures}
    for classes in parts:
        if empty := sorted(set(classes) - filled):
            raise DataError(
                f"the folder of the class {empty[0]!r} holds no pictures\n"
                f"  add some with a name in {', '.join(SUFFIXES)}, or remove the folder"
            )


def _pictures_of_class(entries: Sequence[os.DirEntry[str]], layout: str) -> list[Path]:
    pictures = []
    for entry in entries:
        path, is_picture = Path(entry.path), _has_suffix(entry.name)
        if not is_folder(entry):
            if is_picture and not entry.is_file():
                raise DataError(
                    f"{display_path(path)} is a pipe, a socket or a device, and no picture\n"
                    "  remove it, or name it otherwise"
                )
            pictures += [path] if is_picture else []
        elif is_picture:
            raise DataError(
                f"{display_path(path)} is a folder, and no picture\n"
                "  remove it, or move the pictures in it to the folder of their class"
            )
        elif deeper := _first_picture(path):
            raise DataError(
                f"{display_path(deeper)} lies too deep to be of a class\n"
                f"  pictures are {layout}: move it up, or give the folder of the classes"
            )
    return pictures


def _tell_unread(entries: Iterable[os.DirEntry[str]]) -> None:
    unread = [Path(entry.path) for entry in entries if entry.name.lower().endswith(_UNREAD)]
    if unread:
        print(
            f"dropsmith: {len(unread):,} files such as {display_path(unread[0])} are not read: "
            f"pictures have names in {', '.join(SUFFIXES)}",
            file=sys.stderr,
        )


def _first_picture(folder: Path) -> Path | None:
    """A picture anywhere below a folder, without following links."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(names):
            if _has_suffix(name) and not is_hidden(name):
                return Path(place, name)
    return None


def _has_suffix(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _check_names(names: list[str], folder: Path) -> None:
    """Classes that some file systems hold for one would be other classes there."""
    seen: dict[str, str] = {}
    for name in names:
        if not name.isprintable():
            raise DataError(
                f"a class in {display_path(folder)} is called {name!r}\n"
                "  rename its folder, with characters that can be printed"
            )
        first = seen.setdefault(normalize("NFC", name).lower(), name)
        if first != name:
            raise DataError(
                f"the classes {first!r} and {name!r} in {display_path(folder)} have the same "
                "letters\n  many file systems hold them for one: join them, or rename one"
            )
