"""Each mode against numbers that are worked out here, by NumPy and from the definitions."""

import colorsys
import io
import struct

import numpy as np
import PIL
import pytest
import torch
from PIL import Image

from dropsmith.errors import DataError
from dropsmith.tasks.images.picture_modes import to_numbers
from dropsmith.tasks.images.picture_reader import PictureReader
from tasks.images.picture_bytes import png, tiff

STEP = 1 / 255
SIZES = (1, 2, 7, 32)


def values(size, *samples, limit=256, seed=0):
    return np.random.default_rng(seed).integers(0, limit, (size, size, *samples))


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def numbers(data, path, size):
    """What is read, `[height, width, 3]`."""
    path.write_bytes(data)
    square = PictureReader().read_square(path, size)
    assert square.dtype == torch.float32
    return square.permute(1, 2, 0).double().numpy()


def grey(shades):
    return np.repeat(np.asarray(shades, float)[..., None], 3, axis=2)


def on_white(colours, alpha):
    """Colours and alpha in 0 to 1."""
    return colours * alpha[..., None] + 1 - alpha[..., None]


def one_bit(size):
    x = values(size, limit=2)
    return png(x, 1, 0), grey(x), 0


def shades_of_8_bits(size):
    x = values(size)
    return saved(Image.fromarray(x.astype(np.uint8)), "PNG"), grey(x / 255), 0


def shades_of_4_bits(size):
    x = values(size, limit=16)
    return png(x, 4, 0), grey(x / 15), 0


def shades_with_white_at_zero(size):
    x = values(size)
    tags = {"t256": size, "t257": size, "t258": 8, "t262": 0, "t277": 1}
    return tiff(x.astype(np.uint8).tobytes(), **tags), grey(1 - x / 255), 0


def shades_of_16_bits(size):
    x = values(size, limit=65536)
    return png(x, 16, 0), grey(x / 65535), 1e-7


def tiff_of_16_bits(size, order="II", kind="<u2", white_at_zero=False):
    x = values(size, limit=65536)
    tags = {"t256": size, "t257": size, "t258": 16, "t262": 0 if white_at_zero else 1, "t277": 1}
    shades = 1 - x / 65535 if white_at_zero else x / 65535
    return tiff(x.astype(kind).tobytes(), order, **tags), grey(shades), 1e-7


def tiff_of_16_bits_big_endian(size):
    return tiff_of_16_bits(size, "MM", ">u2")


def tiff_of_16_bits_with_white_at_zero(size):
    return tiff_of_16_bits(size, white_at_zero=True)


def compressed_tiff_of_16_bits(size):
    x = values(size, limit=65536)
    image = Image.frombytes("I;16B", (size, size), x.astype(">u2").tobytes())
    return saved(image, "TIFF", compression="tiff_lzw"), grey(x / 65535), 1e-7


def tiff_of_12_bits(size):
    x = values(size, limit=4096)
    bits = (x[..., None] >> np.arange(11, -1, -1)) & 1
    rows = b"".join(np.packbits(row.ravel().astype(np.uint8)).tobytes() for row in bits)
    tags = {"t256": size, "t257": size, "t258": 12, "t262": 1, "t277": 1}
    return tiff(rows, **tags), grey(x / 4095), 1e-7


def transparent_shade_of_16_bits(size):
    x = values(size, limit=65536)
    x[0, 0] = 300
    shades = np.where(x == 300, 1, x / 65535)
    return png(x, 16, 0, tRNS=struct.pack(">H", 300)), grey(shades), 1e-7


def transparent_shade_of_4_bits(size):
    x = values(size, limit=16)
    x[0, 0] = 5
    return png(x, 4, 0, tRNS=struct.pack(">H", 5)), grey(np.where(x == 5, 1, x / 15)), 0


def transparent_shade_of_2_bits(size):
    x = values(size, limit=4)
    x[0, 0] = 2
    return png(x, 2, 0, tRNS=struct.pack(">H", 2)), grey(np.where(x == 2, 1, x / 3)), 0


def transparent_shade_of_1_bit(size):
    x = values(size, limit=2)
    return png(x, 1, 0, tRNS=struct.pack(">H", 0)), grey(np.ones_like(x)), 0


def transparent_shade_of_8_bits(size):
    x = values(size, limit=4)
    return png(x, 8, 0, tRNS=struct.pack(">H", 3)), grey(np.where(x == 3, 1, x / 255)), 0


def transparent_colour(size):
    x = values(size, 3, limit=2)
    keyed = (x == [0, 1, 0]).all(2, keepdims=True)
    return png(x, 8, 2, tRNS=struct.pack(">3H", 0, 1, 0)), np.where(keyed, 1, x / 255), 0


def floats(size):
    x = np.random.default_rng(0).random((size, size), np.float32)
    x[0, 0] = 1.0
    return saved(Image.fromarray(x), "TIFF"), grey(x), 1e-7


def floats_with_white_at_zero(size):
    x = np.random.default_rng(0).random((size, size), np.float32)
    tags = {"t256": size, "t257": size, "t258": 32, "t262": 0, "t277": 1, "t339": 3}
    return tiff(x.tobytes(), **tags), grey(1 - x), 1e-7


def shades_and_alpha(size):
    x = values(size, 2)
    image = Image.frombytes("LA", (size, size), x.astype(np.uint8).tobytes())
    return saved(image, "PNG"), on_white(grey(x[..., 0] / 255), x[..., 1] / 255), STEP / 2


def shades_and_alpha_of_16_bits(size):
    x = values(size, 2, limit=65536)
    return png(x, 16, 4), on_white(grey(x[..., 0] / 65535), x[..., 1] / 65535), 2.5 * STEP


def shades_times_alpha(size):
    x = values(size, 2)
    x[..., 0] = x[..., 0] * x[..., 1] // 255
    tags = {"t256": size, "t257": size, "t258": (8, 8), "t262": 1, "t277": 2, "t338": (1,)}
    shades = x[..., 0] / 255 + 1 - x[..., 1] / 255
    return tiff(x.astype(np.uint8).tobytes(), **tags), grey(shades), 1.5 * STEP


def colours_of_8_bits(size):
    x = values(size, 3)
    return saved(Image.fromarray(x.astype(np.uint8)), "PNG"), x / 255, 0


def bitmap(size):
    x = values(size, 3)
    return saved(Image.fromarray(x.astype(np.uint8)), "BMP"), x / 255, 0


def webp(size):
    x = values(size, 3)
    return saved(Image.fromarray(x.astype(np.uint8)), "WEBP", lossless=True), x / 255, 0


def colours_of_16_bits(size):
    x = values(size, 3, limit=65536)
    return png(x, 16, 2), x / 65535, STEP


def tiff_of_16_bit_colours(size):
    x = values(size, 3, limit=65536)
    tags = {"t256": size, "t257": size, "t258": (16, 16, 16), "t262": 2, "t277": 3}
    return tiff(x.astype("<u2").tobytes(), **tags), x / 65535, STEP


def colours_and_alpha(size):
    x = values(size, 4)
    image = Image.fromarray(x.astype(np.uint8))
    return saved(image, "PNG"), on_white(x[..., :3] / 255, x[..., 3] / 255), STEP / 2


def colours_times_alpha(size):
    x = values(size, 4)
    x[..., :3] = x[..., :3] * x[..., 3:] // 255
    tags = {"t256": size, "t257": size, "t258": (8,) * 4, "t262": 2, "t277": 4, "t338": (1,)}
    colours = (x[..., :3] + 255 - x[..., 3:]) / 255
    return tiff(x.astype(np.uint8).tobytes(), **tags), colours, 1.5 * STEP


def full_alpha(size):
    x = values(size, 3)
    image = Image.fromarray(np.dstack([x, np.full((size, size), 255)]).astype(np.uint8))
    return saved(image, "PNG"), x / 255, 0


def palette(size, **chunks):
    x, colours = values(size, limit=16), np.random.default_rng(1).integers(0, 256, (16, 3))
    data = png(x, 8, 3, PLTE=colours.astype(np.uint8).tobytes(), **chunks)
    return data, x, colours / 255


def palette_of_colours(size):
    data, x, colours = palette(size)
    return data, colours[x], 0


def palette_with_alphas(size):
    alpha = np.random.default_rng(2).integers(0, 256, 16)
    data, x, colours = palette(size, tRNS=alpha.astype(np.uint8).tobytes())
    return data, on_white(colours[x], alpha[x] / 255), STEP / 2


def palette_with_one_transparent_colour(size):
    alpha = np.full(16, 255)
    alpha[4] = 0
    data, x, colours = palette(size, tRNS=alpha.astype(np.uint8).tobytes())
    return data, on_white(colours[x], alpha[x] / 255), 0


def gif_with_a_transparent_colour(size):
    x = values(size, limit=8)
    image = Image.frombytes("P", (size, size), x.astype(np.uint8).tobytes())
    colours = np.random.default_rng(1).integers(0, 256, (8, 3))
    image.putpalette(colours.astype(np.uint8).tobytes())
    data = saved(image, "GIF", transparency=3, optimize=False)
    return data, on_white(colours[x] / 255, (x != 3).astype(float)), 0


def inks(size):
    x = values(size, 4)
    x[0, 0] = (0, 0, 0, 0)
    x[-1, -1] = (9, 8, 7, 255)
    image = Image.frombytes("CMYK", (size, size), x.astype(np.uint8).tobytes())
    c = x / 255
    return saved(image, "TIFF"), (1 - c[..., :3]) * (1 - c[..., 3:]), STEP


def photograph_in_inks(size):
    x = np.broadcast_to(values(1, 4), (size, size, 4))
    image = Image.frombytes("CMYK", (size, size), x.astype(np.uint8).tobytes())
    c = x / 255
    data = saved(image, "JPEG", quality=100, subsampling=0)
    return data, (1 - c[..., :3]) * (1 - c[..., 3:]), 4 * STEP


def luma_and_chroma(size):
    x = values(size, 3)
    image = Image.frombytes("YCbCr", (size, size), x.astype(np.uint8).tobytes())
    y, cb, cr = x[..., 0], x[..., 1] - 128, x[..., 2] - 128
    # ITU-T T.871
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], 2)
    return saved(image, "TIFF"), rgb.clip(0, 255) / 255, 1.01 * STEP


def lab(size):
    # Within sRGB, so that nothing is clipped: light greys with a little colour.
    x = np.stack([values(size, limit=100) + 120, *(values(size, limit=20, seed=s) for s in (1, 2))])
    lightness, a, b = x[0] * 100 / 255, x[1] - 10.0, x[2] - 10.0
    # A TIFF holds a and b with their signs.
    signed = np.stack([x[0], (x[1] - 10) % 256, (x[2] - 10) % 256], 2).astype(np.uint8)
    tags = {"t256": size, "t257": size, "t258": (8, 8, 8), "t262": 8, "t277": 3}
    f = np.stack(
        [(lightness + 16) / 116 + a / 500, (lightness + 16) / 116, (lightness + 16) / 116 - b / 200]
    )
    white = np.array([0.96422, 1.0, 0.82521])[:, None, None]
    xyz = white * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    # From D50 to linear sRGB, with Bradford's adaptation (Lindbloom).
    matrix = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    linear = np.einsum("ij,jyx->yxi", matrix, xyz).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tiff(signed.tobytes(), **tags), srgb, 2 * STEP


KINDS = [
    one_bit,
    shades_of_8_bits,
    shades_of_4_bits,
    shades_with_white_at_zero,
    shades_of_16_bits,
    tiff_of_16_bits,
    tiff_of_16_bits_big_endian,
    tiff_of_16_bits_with_white_at_zero,
    compressed_tiff_of_16_bits,
    tiff_of_12_bits,
    transparent_shade_of_16_bits,
    transparent_shade_of_8_bits,
    transparent_shade_of_4_bits,
    transparent_shade_of_2_bits,
    transparent_shade_of_1_bit,
    transparent_colour,
    floats,
    floats_with_white_at_zero,
    shades_and_alpha,
    shades_and_alpha_of_16_bits,
    shades_times_alpha,
    colours_of_8_bits,
    bitmap,
    webp,
    colours_of_16_bits,
    tiff_of_16_bit_colours,
    colours_and_alpha,
    colours_times_alpha,
    full_alpha,
    palette_of_colours,
    palette_with_alphas,
    palette_with_one_transparent_colour,
    gif_with_a_transparent_colour,
    inks,
    photograph_in_inks,
    luma_and_chroma,
    lab,
]


NEW = (shades_times_alpha, luma_and_chroma)
"""Kinds of TIFF that Pillow 11 does not read."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_pixels_become_the_numbers_that_their_mode_means(kind, tmp_path):
    if kind in NEW and int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("an older Pillow refuses it")
    for size in SIZES:
        data, expected, tolerance = kind(size)
        found = numbers(data, tmp_path / "a.png", size)
        assert found.shape == (size, size, 3)
        worst = np.abs(found - expected).max()
        assert worst <= tolerance + 1e-7, (size, worst * 255)


def test_hue_becomes_colour():
    x = values(9, 3)
    image = Image.frombytes("HSV", (9, 9), x.astype(np.uint8).tobytes())
    converted, rule = to_numbers(image)
    expected = [[colorsys.hsv_to_rgb(*pixel) for pixel in row] for row in x / 255]
    assert rule == ""
    assert np.abs(np.asarray(converted) / 255 - expected).max() <= 2 * STEP


def whole_numbers(kind, bits, signed, order="<"):
    x = np.array([[0, 1], [40, 100]])
    tags = {"t256": 2, "t257": 2, "t258": bits, "t262": 1, "t277": 1, "t339": 2 if signed else 1}
    return tiff(x.astype(order + kind).tobytes(), "II" if order == "<" else "MM", **tags)


def frames(kind, **options):
    pages = [Image.new("L", (4, 4), shade) for shade in (10, 200)]
    return saved(pages[0], kind, save_all=True, append_images=pages[1:], **options)


REFUSED = {
    "int32": (whole_numbers("i4", 32, True), "whole numbers from 0 to 100, of 32 bits"),
    "int32 big-endian": (whole_numbers("i4", 32, True, ">"), "whole numbers from 0 to 100"),
    "uint32": (whole_numbers("u4", 32, False), "whole numbers from 0 to 100"),
    "int16": (whole_numbers("i2", 16, True), "whole numbers from 0 to 100"),
    "int8": (whole_numbers("i1", 8, True), "whole numbers with a sign"),
    "floats to 255": (
        saved(Image.fromarray(np.array([[0, 255]], np.float32)), "TIFF"),
        r"floating-point numbers from 0\.0 to 255\.0, and only numbers from 0",
    ),
    "negative floats": (
        saved(Image.fromarray(np.array([[-0.5, 1]], np.float32)), "TIFF"),
        r"numbers from -0\.5 to 1\.0",
    ),
    "no number": (
        saved(Image.fromarray(np.array([[np.nan, 1]], np.float32)), "TIFF"),
        "some of them infinite or no number",
    ),
    "infinite": (
        saved(Image.fromarray(np.array([[np.inf, 1]], np.float32)), "TIFF"),
        "some of them infinite or no number",
    ),
    "a colour of 16 bits for nothing": (
        png(values(4, 3, limit=65536), 16, 2, tRNS=struct.pack(">3H", 1, 2, 3)),
        "one colour of 16 bits is transparent",
    ),
    "GIF of two frames": (frames("GIF"), "it is an animation, or has several pages"),
    "PNG of two frames": (frames("PNG"), "it is an animation"),
    "WebP of two frames": (frames("WEBP", lossless=True), "it is an animation"),
    "TIFF of two pages": (frames("TIFF"), "several pages"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pixels_without_a_fixed_meaning_are_refused_with_what_to_do(name, tmp_path):
    data, sentence = REFUSED[name]
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=rf"^cannot read the picture .*a\.png: .*{sentence}") as e:
        PictureReader().read(tmp_path / "a.png")
    lines = str(e.value).split("\n")
    assert 2 <= len(lines) <= 3
    assert all(line.startswith("  ") for line in lines[1:])


def test_the_advice_for_other_numbers_makes_a_picture_that_is_read(tmp_path):
    x = np.array([[-5.0, 10.0], [70.0, 25.0]])
    with pytest.raises(DataError) as refused:
        to_numbers(Image.fromarray(x.astype(np.int32)))
    code = str(refused.value).split("\n")[2].strip().replace("new.png", str(tmp_path / "new.png"))
    exec(code, {"x": x, "BLACK": -5.0, "WHITE": 70.0, "Image": Image})
    found = np.asarray(PictureReader().read(tmp_path / "new.png"))
    assert np.abs(found - (x + 5) / 75).max() < 1e-4


def test_one_frame_of_an_animated_kind_is_a_picture(tmp_path):
    for kind in ("GIF", "TIFF", "WEBP"):
        image = Image.new("L", (4, 4), 10)
        (tmp_path / "a.gif").write_bytes(saved(image, kind, save_all=True))
        assert PictureReader().read(tmp_path / "a.gif").size == (4, 4)


def test_the_first_view_of_a_photograph_of_several_is_read(tmp_path):
    views = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime")]
    views[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=views[1:])
    red, green, _ = PictureReader().read(tmp_path / "a.jpg").getpixel((4, 4))
    assert (red > 240, green < 20) == (True, True)
