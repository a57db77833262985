"""The pictures of training, validation and test in a user's own folder."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.data.selection import PARTS, part_of
from dropsmith.tasks.images.folders import display_path, subfolders
from dropsmith.tasks.images.picture_files import check_filled, find_pictures
from dropsmith.tasks.images.picture_reader import PictureReader

_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
_LAYOUT = "<part>/<class>/<picture>"
_BY_HASH = "by a hash of each file, so that equal files are in one part"

Files = dict[str, list[Path]]
Notes = tuple[tuple[str, str], ...]


def image_parts(
    folder: Path, named: Mapping[str, Path | None], reader: PictureReader
) -> tuple[Files, Notes]:
    """The pictures of each part, and how the parts came about.

    Where the folder holds `train` and `validation` or `test`, each with folders of classes, these
    are the parts, and so are folders that are named. What is missing is cut from training by a hash
    of each file. Elsewhere the hash decides: 70 % train, 15 % validation, 15 % test.

    Args:
        folder: of the classes, or of the parts.
        named: the folders of further parts; None for those that are not named.
        reader: reads the files.

    Raises:
        DataError: a part is named twice, a class has no pictures, or a file cannot be read.
    """
    folders = _part_folders(folder, {part: path for part, path in named.items() if path})
    if set(folders) == {"train"}:
        by_class = find_pictures(folders["train"])
        check_filled(by_class)
        files: Files = {part: [] for part in PARTS}
        for path in chain.from_iterable(by_class.values()):
            files[part_of(reader.read_bytes(path))].append(path)
        return files, (("split", _BY_HASH),)
    classes = {part: find_pictures(path, _LAYOUT) for part, path in folders.items()}
    check_filled(*classes.values())
    files = {part: list(chain.from_iterable(named.values())) for part, named in classes.items()}
    split = "; ".join(f"{part} is {display_path(Path(folders[part].name))}" for part in folders)
    if missing := [part for part in PARTS if part not in files]:
        cut = {path for path in files["train"] if part_of(reader.read_bytes(path)) == missing[0]}
        files[missing[0]] = [path for path in files["train"] if path in cut]
        files["train"] = [path for path in files["train"] if path not in cut]
        split += f"; {missing[0]} is cut from training {_BY_HASH}"
    files = {part: files[part] for part in PARTS}
    return files, (("split", split),)


def _part_folders(folder: Path, named: Mapping[str, Path]) -> dict[str, Path]:
    """The folder of each part, in whatever case; of training alone where it holds classes."""
    present = subfolders(folder)
    folders: dict[str, Path] = {}
    for part, names in _NAMES.items():
        matches = [path for name, path in present.items() if name.lower() in names]
        if len(matches) > 1:
            several = " and ".join(path.name for path in matches)
            raise DataError(
                f"{display_path(folder)} holds the folders {several}, which mean the same part\n"
                "  join them, or leave one"
            )
        if matches:
            folders[part] = matches[0]
    holds_parts = "train" in folders and (
        len(folders) > 1 or (len(present) == 1 and bool(subfolders(folders["train"])))
    )
    folders = folders if holds_parts else {"train": folder}
    for part, place in named.items():
        if part in folders:
            raise DataError(
                f"two folders are named for {part}: {display_path(folders[part])} and "
                f"{display_path(place)}\n  leave --{part} out, or give the folder of training alone"
            )
        if same := [other for other, path in folders.items() if path.samefile(place)]:
            raise DataError(
                f"{display_path(place)} is named for two parts: {same[0]} and {part}\n"
                "  a model is scored on examples that it has not seen: name another folder"
            )
        folders[part] = place
    return {part: folders[part] for part in PARTS if part in folders}
