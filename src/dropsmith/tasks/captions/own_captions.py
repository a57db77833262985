"""A user's own pictures and captions: a folder of pictures with a table of captions."""

from pathlib import Path

from dropsmith.errors import DataError
from dropsmith.tasks.captions.examples import CaptionedPictures, Collected, check_captioned
from dropsmith.tasks.captions.folder_pictures import FolderPictures
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.selection import part_of
from dropsmith.tasks.data.tables import column_named, row_place, table_rows
from dropsmith.tasks.images.folders import picture_folder
from dropsmith.tasks.images.picture_reader import PictureReader

FILES = tuple(
    f"captions{suffix}{gz}" for suffix in (".csv", ".tsv", ".jsonl") for gz in ("", ".gz")
)
"""Names of the table of captions, in the order they are looked for."""

_SPLITS = {name: name for name in ("train", "validation", "test")}
_SPLITS |= {"valid": "validation", "val": "validation", "dev": "validation"}


def holds_captions(path: Path, bounds: Bounds = USUAL) -> bool:
    """True for a folder with a table of captions, whose columns are those that are read.

    Args:
        path: a file or folder, which may not exist.
        bounds: the most that is read.
    """
    table = _table_in(path)
    if table is None:
        return False
    _, row = next(iter(table_rows(table, bounds)), (0, {}))
    return {"image", "caption"} <= row.keys()


def _table_in(folder: Path) -> Path | None:
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def read_own_captions(data: Path | None, bounds: Bounds = USUAL) -> CaptionedPictures:
    """Pictures of a folder, with the captions of a table in it, one a row.

    The table has a column `image`, the name of a file in the folder or its subfolder `images`; a
    column `caption`; and perhaps `split`: train, validation (or valid, val, dev) or test. Where it
    has none, a hash of a picture's bytes decides its part: 70 % train, 15 % each of the others.

    Args:
        data: the folder.
        bounds: the most that is read.

    Raises:
        DataError: the folder has no such table, or a picture is missing.
    """
    if data is None:
        raise DataError(
            "the task captions reads a folder of pictures with a table captions.csv\n"
            "  give it: --data DIR"
        )
    folder = picture_folder(data)
    path = _table_in(folder)
    if path is None:
        raise DataError(f"no table of captions in {folder}\n  looked for: {', '.join(FILES)}")
    pictures, reader = FolderPictures((folder, folder / "images"), bounds), PictureReader(bounds)
    collected, parts = Collected(), dict[str, str]()
    for number, row in table_rows(path, bounds):
        place = row_place(path, number)
        name, caption = (
            _text(row[column_named(path, row, [column])], column, place)
            for column in ("image", "caption")
        )
        file = pictures.file(name, place)
        if "split" in row:
            part = _SPLITS.get(_text(row["split"], "split", place).strip().lower())
            if part is None:
                raise DataError(
                    f"{place}: the split {str(row['split'])[:20]!r} is none of {', '.join(_SPLITS)}"
                )
        else:
            part = parts.get(name) or part_of(reader.read_bytes(file))
        if parts.setdefault(name, part) != part:
            raise DataError(
                f"{place}: the picture {name[:120]!r} is of {part}, and of {parts[name]} in a row "
                "before\n  a picture belongs to one part"
            )
        collected.add(part, name, caption)
    check_captioned(collected.parts, str(path))
    return CaptionedPictures(
        parts=collected.parts,
        pictures=pictures.read,
        source=f"pictures and captions in {folder.name}",
        notes=collected.notes,
    )


def _text(value: object, column: str, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{place}: the {column} must be text, got {str(value)[:20]!r}")
    return value
