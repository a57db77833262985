"""What the pixels of a picture mean as numbers, by its mode and never by its values."""

from typing import TYPE_CHECKING, Any

import numpy as np

from dropsmith.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Converted = tuple["Image", str]
"""A picture of mode RGB, or of mode F from 0 to 1, and the rule of its conversion for the user:
empty for a picture of 8 bits without transparent parts."""

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT, _SIGNED = 258, 262, 339, 2
_ADVICE = (
    "\n  choose BLACK and WHITE for all pictures alike, and write each array x of pixels anew:\n"
    "  x = ((x - BLACK) / (WHITE - BLACK)).clip(0, 1); "
    'Image.fromarray((65535 * x).astype("uint16")).save("new.png")'
)
_SCALE_OF_FEW_BITS = {"L;2": 85, "L;4": 17}


def check_mode(image: "Image") -> None:
    """Refuse a picture that was opened and not yet decoded, if its mode has no fixed meaning.

    A transparent shade that Pillow names in the few bits of the file is brought to 8 bits here,
    as its pixels will be.

    Raises:
        DataError: the pixels are signed, or several frames; the message does not name the file.
    """
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise DataError(
            "it is an animation, or has several pages; a picture is one\n"
            "  write the frame that is meant to a file of its own"
        )
    if image.mode == "L" and _SIGNED in np.atleast_1d(_tag(image, _SAMPLE_FORMAT, 1)):
        raise DataError(
            f"its pixels are whole numbers with a sign, and no value is known to be black{_ADVICE}"
        )
    transparent, raw_mode = image.info.get("transparency"), _raw_mode(image)
    if transparent is not None and raw_mode == "RGB;16B":
        raise DataError(
            "one colour of 16 bits is transparent, and colours are read in 8 bits\n"
            "  write it in 8 bits, or with an alpha channel"
        )
    scale = _SCALE_OF_FEW_BITS.get(raw_mode, 1)
    if isinstance(transparent, int) and transparent <= 255 // scale:
        image.info["transparency"] = scale * transparent


def to_numbers(image: "Image") -> Converted:
    """A decoded picture in colours of 8 bits, or in one shade from 0 to 1, and by which rule.

    16 bits are divided by 65,535, and the 12 bits of a TIFF by 4,095. Floating-point numbers are
    0 for black and 1 for white. Transparent parts are shown on white.

    >>> from PIL import Image
    >>> grey, rule = to_numbers(Image.fromarray(np.full((2, 2), 13107, np.uint16)))
    >>> grey.mode, round(grey.getpixel((0, 0)), 6), rule
    ('F', 0.2, 'pictures of 16 bits are read as value / 65,535')

    Raises:
        DataError: the pixels are whole numbers of 32 bits or signed ones, or floating-point
            numbers beyond 0 and 1; the message does not name the file.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image, ""
    if image.mode == "I":
        raise DataError(
            f"its pixels are whole numbers{_range(np.asarray(image))}, of 32 bits or with a sign, "
            f"and no value is known to be white{_ADVICE}"
        )
    if image.mode == "F":
        return _from_floats(image)
    if image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB"), ""


def _from_16_bits(image: "Image") -> Converted:
    values = np.asarray(image)
    bits = 12 if 12 in np.atleast_1d(_tag(image, _BITS, 16)) else 16
    white = 2**bits - 1
    shades = _black_first(image, values.astype(np.float32) / white)
    rule = f"pictures of {bits} bits are read as value / {white:,}"
    if (transparent := image.info.get("transparency")) is not None:
        shades[values == transparent] = 1.0
        rule += ", their transparent parts on white"
    return _shades(shades), rule


def _from_floats(image: "Image") -> Converted:
    values = np.asarray(image)
    if not (values.min() >= 0 and values.max() <= 1):  # nor where one of them is no number
        raise DataError(
            f"its pixels are floating-point numbers{_range(values)}, and only numbers from 0 "
            f"(black) to 1 (white) are read{_ADVICE}"
        )
    rule = "pictures of floating-point numbers are read as they are, 0 black and 1 white"
    return _shades(_black_first(image, values)), rule


def _on_white(image: "Image") -> Converted:
    from PIL import Image

    # Pillow has no way from La to anything but LA.
    full = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    alpha = full.getchannel("A")
    least, _ = alpha.getextrema()
    if least == 255:
        return full.convert("RGB"), ""
    canvas = Image.new("RGB", full.size, "white")
    canvas.paste(full, mask=alpha)
    return canvas, "transparent parts of pictures are shown on white"


def _black_first(image: "Image", shades: np.ndarray) -> np.ndarray:
    """Shades of which 0 is black: a TIFF may say that 0 is white, which Pillow heeds in 8 bits."""
    return 1 - shades if _tag(image, _PHOTOMETRIC, 1) == 0 else shades


def _shades(values: np.ndarray) -> "Image":
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(values, np.float32))


def _tag(image: "Image", number: int, default: int) -> Any:
    """The value of a tag of a TIFF, the default for other pictures."""
    return getattr(image, "tag_v2", {}).get(number, default)


def _raw_mode(image: "Image") -> Any:
    tiles = getattr(image, "tile", None)
    return tiles[0][3] if tiles and isinstance(tiles[0][3], str) else ""


def _range(values: np.ndarray) -> str:
    if not np.isfinite(values).all():
        return ", some of them infinite or no number"
    least, most = values.min().item(), values.max().item()
    return f" from {least:,} to {most:,}"
