"""Flickr8k (Hodosh et al., 2013): photographs with five captions each."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.captions.examples import CaptionedPictures, Collected, check_captioned
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.sources import subfolder
from dropsmith.tasks.data.tables import column_named, table_rows
from dropsmith.tasks.images.picture_size import Size

_PARTS = {"train": "train", "dev": "validation", "test": "test"}
_CAPTIONS, _IMAGES = "captions.tsv.gz", "images_96px_webp.npz"


def read_flickr8k(data: Path | None, bounds: Bounds = USUAL) -> CaptionedPictures:
    """6,000 pictures to train on, 1,000 for validation and 1,000 for test, of 96 × 96 pixels.

    Args:
        data: a folder with `captions.tsv.gz` (split, image, caption_no, caption) and
            `images_96px_webp.npz` (all files end to end, where each begins, and their names).
        bounds: the most that is read.

    Raises:
        DataError: the folder does not hold them, a picture is missing, or none is given.
    """
    if data is None:
        raise DataError(
            f"the task flickr8k reads a folder with {_CAPTIONS} and {_IMAGES}\n"
            "  give it: --data DIR"
        )
    folder = subfolder(data, "flickr8k")
    pictures = _Blob.read(folder / _IMAGES)
    collected, path = Collected(), folder / _CAPTIONS
    for line, row in table_rows(path, bounds):
        split, name, caption = (
            row[column_named(path, row, [column])] for column in ("split", "image", "caption")
        )
        if split not in _PARTS:
            raise DataError(
                f"line {line} of {path} has the split {split[:20]!r}\n"
                f"  it must be one of: {', '.join(_PARTS)}"
            )
        if name not in pictures.places:
            raise DataError(f"line {line} of {path}: {name[:80]!r} is not in {_IMAGES}")
        collected.add(_PARTS[split], name, caption)
    check_captioned(collected.parts, str(folder))
    return CaptionedPictures(
        parts=collected.parts,
        pictures=pictures.read_pictures,
        source="Flickr8k, 96 × 96 pixels (Hodosh et al., 2013)",
        notes=collected.notes,
    )


@dataclass(frozen=True, eq=False)
class _Blob:
    """Files of pictures, end to end.

    Args:
        path: of the array file.
        data: all bytes.
        places: the first and the last byte of each picture, by name.
    """

    path: Path
    data: Any
    places: dict[str, tuple[int, int]]

    @classmethod
    def read(cls, path: Path) -> "_Blob":
        if not path.is_file():
            raise DataError(
                f"no Flickr8k in {path.parent}\n  looked for: {_CAPTIONS} and {_IMAGES}"
            )
        try:
            with np.load(path, allow_pickle=False) as arrays:
                blob, offsets, names = arrays["blob"], arrays["offsets"], arrays["names"]
            ends = [int(end) for end in offsets]
            texts = [str(name, "utf-8") for name in names.tolist()]
        except Exception as error:  # NumPy and zipfile raise many kinds for a damaged file
            raise DataError(f"cannot read {path}\n  {type(error).__name__}: {error}") from None
        if len(ends) != len(texts) + 1 or ends != sorted(ends) or ends[-1] > len(blob):
            raise DataError(f"{path} is damaged: its offsets do not fit its names and bytes")
        return cls(path, blob, dict(zip(texts, pairwise(ends), strict=True)))

    def read_pictures(self, names: Sequence[str], size: Size) -> Tensor:
        """The pictures of these names, as bytes `[count, 3, height, width]`."""
        from PIL import Image

        pixels = torch.empty(len(names), 3, *size, dtype=torch.uint8)
        for picture, name in zip(pixels, names, strict=True):
            begin, end = self.places[name]
            try:
                with Image.open(BytesIO(self.data[begin:end].tobytes()), formats=["WEBP"]) as file:
                    image = file.convert("RGB").resize(
                        (size[1], size[0]), Image.Resampling.BILINEAR
                    )
            except Exception as error:  # the kinds that Pillow raises are many
                raise DataError(
                    f"cannot read the picture {name!r} in {self.path}: {error}"
                ) from None
            picture.copy_(torch.from_numpy(np.array(image)).permute(2, 0, 1))
        return pixels
