"""The one place where a picture enters: its file, its size and its mode are checked here."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import PILLOW_BOUND, USUAL, Bounds
from dropsmith.tasks.images.folders import display_path
from dropsmith.tasks.images.picture_modes import check_mode, to_numbers
from dropsmith.tasks.images.picture_size import Size

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "BMP", "GIF", "TIFF")
"""What is read, whatever a file is called; Pillow would run other programs for some others."""

_ORIENTATION = 0x0112

Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of a picture."""


@dataclass(frozen=True)
class PictureReader:
    """Reads pictures upright, in three colours, and says once by which rule it scales others.

    Args:
        bounds: the most bytes of a file and pixels of a picture.
    """

    bounds: Bounds = USUAL
    _rules_told: dict[str, object] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def read_square(
        self, path: Path, size: int, box: Callable[[int, int], Box | None] | None = None
    ) -> Tensor:
        """A picture or a part of it, as `[3, size, size]` in [0, 1]; see `read_resized`."""
        return self.read_resized(path, (size, size), box)

    def read_resized(
        self, path: Path, size: Size, box: Callable[[int, int], Box | None] | None = None
    ) -> Tensor:
        """A picture or a part of it, as `[3, height, width]` in [0, 1].

        Args:
            path: of the file.
            size: height and width of what is returned, in pixels.
            box: takes width and height, and returns the part; None is the whole picture.

        Raises:
            DataError: it is no picture of a mode that is read, or exceeds a bound.
        """
        from PIL.Image import Resampling

        height, width = size
        with _as_data_error(path):
            image = self._open(path)
            part = None if box is None else box(*image.size)
            values = np.array(image.resize((width, height), Resampling.BILINEAR, box=part))
        if image.mode == "F":
            return torch.from_numpy(values).clamp(0, 1).expand(3, height, width)
        return torch.from_numpy(values).permute(2, 0, 1) / 255

    def size(self, path: Path) -> Size:
        """Height and width of a picture as a viewer shows it, from the begin of its file.

        Raises:
            DataError: it is no picture, or exceeds a bound.
        """
        from PIL import Image, UnidentifiedImageError

        with _as_data_error(path):
            _check_file(path, self.bounds)
            try:
                with PILLOW_BOUND.lifted(), Image.open(path, formats=FORMATS) as image:
                    width, height = image.size
                    turned = _orientation(image) in range(5, 9)
            except UnidentifiedImageError:
                raise DataError(_unknown(path)) from None
        return (width, height) if turned else (height, width)

    def read(self, path: Path) -> "Image":
        """A picture of mode RGB, or of mode F from 0 to 1; see `to_numbers`.

        Raises:
            DataError: it is no picture of a mode that is read, or exceeds a bound.
        """
        with _as_data_error(path):
            return self._open(path)

    def read_bytes(self, path: Path) -> bytes:
        """The bytes of its file; `DataError` where it cannot be read or exceeds a bound."""
        with _as_data_error(path):
            _check_file(path, self.bounds)
            return path.read_bytes()

    def _open(self, path: Path) -> "Image":
        from PIL import Image, UnidentifiedImageError

        _check_file(path, self.bounds)
        try:
            with PILLOW_BOUND.lifted(), Image.open(path, formats=FORMATS) as image:
                width, height = image.size
                if width * height > self.bounds.pixels:
                    raise self.bounds.excess("pixels", f"it is {width:,} × {height:,} and")
                check_mode(image)
                image.load()
                upright, rule = to_numbers(_upright(image))
        except UnidentifiedImageError:
            raise DataError(_unknown(path)) from None
        teller = object()  # of many threads, one tells it
        if rule and self._rules_told.setdefault(rule, teller) is teller:
            print(f"dropsmith: {rule}, such as {_with_shades(path, upright)}", file=sys.stderr)
        return upright


@contextmanager
def _as_data_error(path: Path) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        raise DataError(f"cannot read the picture {display_path(path)}: {error}") from None
    except Exception as error:  # the kinds that Pillow raises are many, and not its own to list
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise DataError(
            f"cannot read the picture {display_path(path)}: {reason or type(error).__name__}\n"
            "  replace it by one that opens, or remove it"
        ) from None


def _check_file(path: Path, bounds: Bounds) -> None:
    state = path.stat()
    if not S_ISREG(state.st_mode):
        raise DataError("it is not a regular file\n  remove it, or name it otherwise")
    if state.st_size == 0:
        raise DataError("it is empty\n  replace it by one that opens, or remove it")
    if state.st_size > bounds.bytes:
        raise bounds.excess("bytes", "it")


def _unknown(path: Path) -> str:
    from PIL import features

    kind = path.suffix[1:].lower()
    if kind in ("avif", "webp") and not features.check(kind):
        return f"Pillow was built without {kind.upper()}\n  pip install --upgrade pillow"
    with path.open("rb") as file:
        start = file.read(12)
    return (
        f"no picture of a known kind begins with {start!r}\n"
        f"  write it anew as one of {', '.join(FORMATS)}, of 8 or 16 bits, or remove it"
    )


def _with_shades(path: Path, image: "Image") -> str:
    """Its path, and how dark and light it is where that is in question."""
    if image.mode != "F":
        return display_path(path)
    least, most = np.asarray(image).min(), np.asarray(image).max()
    return f"{display_path(path)} (here from {least:.3g} to {most:.3g})"


def _upright(image: "Image") -> "Image":
    """The picture as a viewer shows it, turned as its EXIF says."""
    from PIL import ImageOps

    return image if _orientation(image) not in range(2, 9) else ImageOps.exif_transpose(image)


def _orientation(image: "Image") -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # viewers show a picture whose EXIF is broken as it stands
        return 1
