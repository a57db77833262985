"""The steps from files of pictures to tensors of one size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from annotated_types import Ge, Le, Len, MinLen
from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.errors import DataError
from dropsmith.files import check
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.label_column import NO_CLASS
from dropsmith.tasks.data.part import Part, Split
from dropsmith.tasks.data.preprocessing import Inputs, Preprocessing
from dropsmith.tasks.images.folders import display_path, subfolders, visible_entries
from dropsmith.tasks.images.picture_files import SUFFIXES
from dropsmith.tasks.images.picture_reader import PictureReader
from dropsmith.tasks.images.picture_size import Size, centre_box

_Pixels = Annotated[int, Ge(1), Le(16_384)]


class StoredPicturePreprocessing(TypedDict):
    """Preprocessing of pictures in JSON."""

    kind: Literal["pictures"]
    input: str | None
    size: Annotated[list[_Pixels], Len(2, 2)]
    classes: Annotated[list[str], MinLen(1)]


@dataclass(frozen=True, kw_only=True)
class PicturePreprocessing(Preprocessing):
    """Pictures in three colours in [0, 1], upright, of one size.

    Each is resized with its shape kept until it covers that size, and cut around its centre.

    Args:
        size: height and width in pixels.
        classes: names of the folders of classes, in the order of their numbers.
    """

    kind = "pictures"

    size: Size
    classes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "input": self.input,
            "size": list(self.size),
            "classes": list(self.classes),
        }

    @classmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        stored = check(values, StoredPicturePreprocessing)
        height, width = stored["size"]
        return cls(input=stored["input"], size=(height, width), classes=tuple(stored["classes"]))

    def read(self, source: Path, bounds: Bounds = USUAL) -> Inputs:
        """A picture, or the pictures in a folder and in its subfolders, with their classes there.

        Raises:
            DataError: there is no picture, one of them cannot be read, or a bound is exceeded.
        """
        files = [source] if source.is_file() else _pictures_in(source)
        if len(files) * 12 * self.size[0] * self.size[1] > bounds.picture_bytes:
            raise bounds.excess("picture_bytes", f"the folder {display_path(source)}")
        folder = source.parent if source.is_file() else source
        order = {name: number for number, name in enumerate(self.classes)}
        numbers = [
            order.get(file.parent.name, NO_CLASS) if file.parent != folder else NO_CLASS
            for file in files
        ]
        labelled = any(number != NO_CLASS for number in numbers)
        part = Split({"image": self.pixels(files, PictureReader(bounds))})
        return Inputs(
            names=tuple(str(file.relative_to(folder)) for file in files),
            part=self.with_input_name(part),
            labels=torch.tensor(numbers) if labelled else None,
        )

    def pixels(self, files: Sequence[Path], reader: PictureReader) -> Tensor:
        """Pictures `[files, 3, height, width]`."""
        box = partial(centre_box, size=self.size)
        return torch.stack([reader.read_resized(file, self.size, box) for file in files])

    def example(self) -> Part:
        return self.with_input_name(Split({"image": torch.zeros(1, 3, *self.size)}))


def _pictures_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"no file or folder {display_path(folder)}")
    places = [folder, *subfolders(folder).values()]
    entries = chain.from_iterable(visible_entries(place) for place in places)
    files = [Path(e.path) for e in entries if e.name.lower().endswith(SUFFIXES) and e.is_file()]
    if not files:
        raise DataError(
            f"no pictures in {display_path(folder)}, or in the folders in it\n"
            f"  looked for: a name in {', '.join(SUFFIXES)}"
        )
    return files
