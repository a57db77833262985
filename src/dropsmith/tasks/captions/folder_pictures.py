"""Pictures in files of a folder, by the names that captions give them."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.images.folders import display_path
from dropsmith.tasks.images.picture_reader import PictureReader
from dropsmith.tasks.images.picture_size import Size, centre_box


@dataclass(frozen=True)
class FolderPictures:
    """Pictures in files below some folders.

    Args:
        folders: where they are looked for, one after the other.
        bounds: the most bytes of a file and pixels of a picture.
    """

    folders: tuple[Path, ...]
    bounds: Bounds

    def file(self, name: str, place: str) -> Path:
        """The file of a picture.

        Args:
            name: of the picture, below one of the folders.
            place: where the name stands, for the error.

        Raises:
            DataError: there is no such file, or the name leads out of the folders.
        """
        for folder in self.folders:
            path = folder / name
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return path
        looked = ", ".join(display_path(folder) for folder in self.folders)
        raise DataError(f"{place}: there is no picture {name[:120]!r}\n  looked in: {looked}")

    def read(self, names: Sequence[str], size: Size) -> Tensor:
        """Pictures as bytes `[count, 3, height, width]`: their shape is kept, and the centre cut.

        Raises:
            DataError: one cannot be read.
        """
        pixels, reader = (
            torch.empty(len(names), 3, *size, dtype=torch.uint8),
            PictureReader(self.bounds),
        )

        def read(row: int) -> None:
            path = self.file(names[row], "the captions")
            image = reader.read_resized(path, size, partial(centre_box, size=size))
            pixels[row] = (255 * image).round().to(torch.uint8)

        # Pillow reads without holding up other threads.
        with ThreadPoolExecutor() as pool:
            list(pool.map(read, range(len(names))))
        return pixels
