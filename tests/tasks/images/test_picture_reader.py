import io
import os
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from dropsmith.errors import DataError, DropsmithError
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.images.picture_reader import PictureReader
from faults.mutate import mutate_bytes
from tasks.images.picture_bytes import chunk

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 17, 3), dtype=np.uint8)
COLOURS = Image.fromarray(PIXELS)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def refused(data, path, bounds=None):
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        PictureReader(bounds or Bounds()).read_square(path, 8)
    return str(error.value)


def triangle(length, size):
    """Weights `[size, length]` of a triangle filter whose width is that of an output pixel."""
    scale = max(length / size, 1.0)
    middles = (np.arange(size) + 0.5) * length / size
    away = np.abs(np.arange(length) + 0.5 - middles[:, None]) / scale
    weights = np.maximum(0, 1 - away)
    return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("shape", [(24, 17), (5, 40), (32, 32), (1, 9), (200, 130)])
def test_a_picture_is_made_smaller_by_the_mean_around_each_point(tmp_path, shape):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    down, across = (triangle(length, 16) for length in shape)
    expected = np.einsum("ih,hwc,jw->cij", down, pixels / 255, across)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = PictureReader().read_square(tmp_path / "a.png", 16)
    assert np.abs(found.numpy() - expected).max() <= 1.01 / 255  # it rounds twice
    deep = (pixels[..., 0].astype(np.uint16)) * 257
    Image.fromarray(deep).save(tmp_path / "a.png")
    found = PictureReader().read_square(tmp_path / "a.png", 16)
    assert np.abs(found.numpy() - expected[0]).max() <= 1e-5


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK"])
def test_a_picture_without_transparency_is_what_it_was_before_modes_had_rules(tmp_path, mode):
    # The hash of a folder's pictures is in the records of runs on it.
    path = tmp_path / "a.tif"
    COLOURS.convert(mode).save(path)
    with Image.open(path) as image:
        small = image.convert("RGB").resize((8, 8), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.array(small)).permute(2, 0, 1) / 255
    assert torch.equal(PictureReader().read_square(path, 8), expected)


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_picture_stands_as_its_exif_says(tmp_path, kind):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    flat = np.kron(PIXELS[:3, :2], np.ones((8, 8, 1), np.uint8))
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        (tmp_path / "a").write_bytes(saved(Image.fromarray(flat), kind, exif=exif, **options))
        found = np.asarray(PictureReader().read(tmp_path / "a")).astype(int)
        expected = turn(flat)
        assert found.shape == expected.shape, orientation
        assert np.abs(found - expected).max() <= (20 if kind == "JPEG" else 0), orientation


def test_a_part_is_cut_from_the_picture_as_it_stands(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    COLOURS.save(tmp_path / "a.png", exif=exif)
    sizes = []

    def corner(width, height):
        sizes.append((width, height))
        return (0, 0, 8, 8)

    found = PictureReader().read_square(tmp_path / "a.png", 8, corner)
    assert sizes == [(24, 17)]
    expected = np.rot90(PIXELS, -1)[:8, :8].transpose(2, 0, 1) / 255
    assert np.abs(found.numpy() - expected).max() < 1e-6


def test_a_broken_exif_does_not_matter(tmp_path):
    (tmp_path / "a.webp").write_bytes(saved(COLOURS, "WEBP", lossless=True, exif=b"Exif\0\0broken"))
    assert np.array_equal(np.asarray(PictureReader().read(tmp_path / "a.webp")), PIXELS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"])
def test_the_content_and_not_the_name_says_what_a_picture_is(tmp_path, kind):
    for name in ("a.png", "a.jpg", "a.tif", "a"):
        (tmp_path / name).write_bytes(saved(COLOURS, kind))
        assert PictureReader().read(tmp_path / name).size == (17, 24)


@pytest.mark.parametrize("kind", ["EPS", "PPM", "ICO", "TGA", "PCX"])
def test_other_kinds_are_refused_by_what_they_begin_with(tmp_path, kind):
    message = refused(saved(COLOURS, kind), tmp_path / "a.png")
    assert "no picture of a known kind begins with b'" in message


CUTS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF"]


@pytest.mark.parametrize("kind", CUTS)
def test_a_picture_that_was_cut_off_is_refused_wherever_it_was(tmp_path, kind):
    data = saved(COLOURS, kind)
    for length in {1, 7, 20, len(data) // 4, len(data) // 2, 3 * len(data) // 4}:
        message = refused(data[:length], tmp_path / "a.png")
        assert message.startswith(f"cannot read the picture {tmp_path / 'a.png'}: ")


def test_what_is_no_picture_says_what_it_is_and_what_to_do(tmp_path):
    path = tmp_path / "a.png"
    assert "a.png: it is empty\n  replace it by one that opens" in refused(b"", path)
    assert "begins with b'<html><body>'\n  write it anew" in refused(b"<html><body>no", path)
    for data in (b"\x00" * 100, b"text", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        assert refused(data, path).count("\n") == 1
    os.remove(path)
    with pytest.raises(DataError, match=r"a\.png: No such file or directory\n  replace"):
        PictureReader().read(path)
    path.mkdir()
    with pytest.raises(DataError, match=r"a\.png: it is not a regular file"):
        PictureReader().read(path)
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b\.png: it is not a regular file"):
        PictureReader().read_bytes(tmp_path / "b.png")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_a_picture_that_may_not_be_read_says_so(tmp_path):
    COLOURS.save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        PictureReader().read(tmp_path / "a.png")


def claimed(kind, width, height):
    """A small file whose header says that it is large."""
    if kind == "PNG":
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        rows = chunk(b"IDAT", zlib.compress(bytes(1000)))
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")
    data = bytearray(saved(COLOURS, kind))
    if kind == "GIF":
        data[6:10] = struct.pack("<HH", width, height)
    if kind == "BMP":
        data[18:26] = struct.pack("<ii", width, height)
    if kind == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "JPEG"])
def test_a_picture_of_too_many_pixels_is_refused_by_its_header(tmp_path, kind, recwarn):
    data = claimed(kind, 60_000, 60_000)
    Image.MAX_IMAGE_PIXELS, usual = 12345, Image.MAX_IMAGE_PIXELS
    try:
        message = refused(data, tmp_path / "a.png")
        assert Image.MAX_IMAGE_PIXELS == 12345
    finally:
        Image.MAX_IMAGE_PIXELS = usual
    assert "a.png: it is 60,000 × 60,000 and holds more than 100,000,000 pixels" in message
    assert "--bound pixels=200000000" in message
    assert not recwarn.list


def test_a_raised_bound_reads_what_pillow_itself_would_refuse(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    COLOURS.save(tmp_path / "a.tif")  # 408 pixels
    with pytest.raises(DataError, match="17 × 24 and holds more than 407 pixels"):
        PictureReader(Bounds(pixels=407)).read(tmp_path / "a.tif")
    assert PictureReader(Bounds(pixels=408)).read(tmp_path / "a.tif").size == (17, 24)
    assert Image.MAX_IMAGE_PIXELS == 100
    assert not recwarn.list


def test_pillows_bound_is_as_it_was_after_reads_in_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    COLOURS.save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"none")
    reader = PictureReader()

    def read(number):
        try:
            return reader.read(tmp_path / ("b.png" if number % 3 else "a.png")).size
        except DataError:
            return None

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(read, range(200)))
    assert sizes == [None if number % 3 else (17, 24) for number in range(200)]
    assert Image.MAX_IMAGE_PIXELS == 200


def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path):
    data = saved(COLOURS, "BMP")
    message = refused(data, tmp_path / "a.png", Bounds(bytes=len(data) - 1))
    assert "it holds more than 1,301 bytes" in message
    with pytest.raises(DataError, match="it holds more than"):
        PictureReader(Bounds(bytes=5)).read_bytes(tmp_path / "a.png")


def test_rules_of_scaling_are_told_once_with_the_first_picture(tmp_path, capsys):
    x = np.array([[0, 4095]], np.uint16)
    for name in ("a.png", "b.png"):
        Image.fromarray(x).save(tmp_path / name)
    for name in ("c.png", "d.png"):
        Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / name)
    Image.new("RGBA", (2, 2), (0, 0, 0, 255)).save(tmp_path / "e.png")
    reader = PictureReader()
    for name in ("e.png", "a.png", "b.png", "c.png", "d.png"):
        reader.read(tmp_path / name)
    assert capsys.readouterr().err.splitlines() == [
        "dropsmith: pictures of 16 bits are read as value / 65,535, such as "
        f"{tmp_path / 'a.png'} (here from 0 to 0.0625)",
        "dropsmith: transparent parts of pictures are shown on white, such as "
        f"{tmp_path / 'c.png'}",
    ]


@pytest.mark.parametrize(
    "fault",
    [
        *(MemoryError(), EOFError(), SyntaxError("broken"), OverflowError("big"), TypeError("t")),
        *(struct.error("s"), zlib.error("z"), RecursionError(), Image.DecompressionBombError("d")),
        *(KeyError(3), AttributeError("a"), OSError("truncated"), RuntimeError("two\nlines")),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("place", ["open", "Image.load", "Image.resize"])
def test_every_error_of_pillow_is_one_sentence(tmp_path, monkeypatch, fault, place):
    from PIL import PngImagePlugin

    def fail(*args, **options):
        raise fault

    COLOURS.save(tmp_path / "a.png")
    owner, name = {
        "open": (Image, "open"),
        "Image.load": (PngImagePlugin.PngImageFile, "load"),
        "Image.resize": (Image.Image, "resize"),
    }[place]
    monkeypatch.setattr(owner, name, fail)
    with pytest.raises(
        DataError, match=r"^cannot read the picture .*a\.png: .+\n  replace"
    ) as error:
        PictureReader().read_square(tmp_path / "a.png", 8)
    assert str(error.value).count("\n") == 1


def seeds_of_mutation():
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = PIXELS[..., 0]
    return {
        "PNG": saved(COLOURS, "PNG"),
        "PNG of 16 bits": saved(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"),
        "PNG of a palette": saved(COLOURS.convert("P"), "PNG", transparency=3),
        "JPEG": saved(COLOURS, "JPEG", exif=exif),
        "JPEG in inks": saved(COLOURS.convert("CMYK"), "JPEG"),
        "GIF": saved(COLOURS.convert("P"), "GIF"),
        "BMP": saved(COLOURS, "BMP"),
        "TIFF": saved(COLOURS, "TIFF"),
        "TIFF, LZW": saved(COLOURS, "TIFF", compression="tiff_lzw"),
        "TIFF of floats": saved(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "WebP": saved(COLOURS, "WEBP"),
        "AVIF": saved(COLOURS, "AVIF", quality=30),
    }


@pytest.mark.timeout(60)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", seeds_of_mutation())
def test_a_mutated_picture_is_read_or_refused_in_one_sentence(tmp_path, kind):
    data, rng = seeds_of_mutation()[kind], random.Random(kind)
    path = tmp_path / "a.png"
    reader = PictureReader(Bounds(pixels=1_000_000))
    path.write_bytes(data)
    reader.read_square(path, 8)
    messages = []
    for _ in range(40):
        path.write_bytes(mutate_bytes(data, rng))
        try:
            square = reader.read_square(path, 8)
        except DropsmithError as error:
            messages.append(str(error))
        else:
            assert square.shape == (3, 8, 8)
            assert bool(((square >= 0) & (square <= 1)).all())
    assert messages
    assert all(str(path) in message and message.count("\n") <= 2 for message in messages)
