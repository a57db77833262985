"""Which files of a folder are pictures, and of which class: the same on every file system."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from unicodedata import normalize

from dropsmith.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".gif", ".tif", ".tiff")

_UNREAD = (
    *(".heic", ".heif", ".jfif", ".jpe", ".jp2", ".jxl", ".dcm", ".nii", ".svg", ".psd", ".tga"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".ico", ".npy", ".exr", ".hdr", ".dng", ".cr2", ".nef"),
)
_SYSTEM_NAMES = ("__macosx", "$recycle.bin", "system volume information", "lost+found", "@eadir")


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
    entries = {name: list(_visible_entries(path)) for name, path in folders.items()}
    classes = {name: _pictures_of_class(files, layout) for name, files in entries.items()}
    _tell_unread(chain.from_iterable(entries.values()))
    _check_names(list(classes), folder)
    if not any(classes.values()):
        raise DataError(
            f"no pictures in {display_path(folder)}\n"
            f"  looked for: {layout} with a name in {', '.join(SUFFIXES)}"
        )
    return classes


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


def check_filled(*parts: Mapping[str, list[Path]]) -> None:
    """Raise `DataError` if a class that has a folder has no picture in any part."""
    filled = {name for classes in parts for name, pictures in classes.items() if pictures}
    for classes in parts:
        if empty := sorted(set(classes) - filled):
            raise DataError(
                f"the folder of the class {empty[0]!r} holds no pictures\n"
                f"  add some with a name in {', '.join(SUFFIXES)}, or remove the folder"
            )


def subfolders(folder: Path) -> dict[str, Path]:
    """The visible folders in a folder by name; `DataError` where it cannot be read."""
    return {e.name: Path(e.path) for e in _visible_entries(folder) if _is_folder(e)}


def _pictures_of_class(entries: Sequence[os.DirEntry[str]], layout: str) -> list[Path]:
    pictures = []
    for entry in entries:
        path, is_picture = Path(entry.path), _has_suffix(entry.name)
        if not _is_folder(entry):
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
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            if _has_suffix(name) and not _is_hidden(name):
                return Path(place, name)
    return None


def _visible_entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not _is_hidden(entry.name)]
    except OSError as error:
        raise DataError(
            f"cannot read the folder {display_path(folder)}\n  {error.strerror}"
        ) from None
    yield from sorted(visible, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
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


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


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
