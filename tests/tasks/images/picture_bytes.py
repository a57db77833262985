"""Pictures written byte by byte, of kinds that Pillow does not write."""

import struct
import zlib

import numpy as np


def png(values: np.ndarray, bits: int, colours: int, **chunks: bytes) -> bytes:
    """A PNG of `[height, width]` or `[height, width, samples]` values of 1 to 16 bits.

    Args:
        values: of the samples.
        bits: of each sample.
        colours: the colour type: 0 grey, 2 colours, 3 palette, 4 grey with alpha, 6 with alpha.
        chunks: others by name, such as `tRNS`, that stand before the pixels.
    """
    height, width = values.shape[:2]
    rows = [_packed(row.ravel(), bits) for row in values]
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)),
            *(chunk(name.encode(), data) for name, data in chunks.items()),
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
            chunk(b"IEND", b""),
        )
    )


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _packed(samples: np.ndarray, bits: int) -> bytes:
    if bits >= 8:
        return samples.astype(f">u{bits // 8}").tobytes()
    each = (samples[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.astype(np.uint8).ravel()).tobytes()


def tiff(data: bytes, order: str = "II", **tags: int | tuple[int, ...]) -> bytes:
    """A TIFF of one strip. Tags are `t256=width, t257=height, t258=bits, t262=photometric, …`."""
    sign = "<" if order == "II" else ">"
    data += b"\0" * (len(data) % 2)
    entries = {int(name[1:]): value for name, value in tags.items()}
    entries |= {259: 1, 273: 8, 278: entries[257], 279: len(data)}
    place = 8 + len(data)
    after, extra = place + 2 + 12 * len(entries) + 4, b""
    table = struct.pack(sign + "H", len(entries))
    for tag, value in sorted(entries.items()):
        if isinstance(value, tuple):
            shorts = struct.pack(f"{sign}{len(value)}H", *value)
            if len(shorts) > 4:
                field, extra = struct.pack(sign + "I", after + len(extra)), extra + shorts
            else:
                field = shorts.ljust(4, b"\0")
            table += struct.pack(sign + "HHI", tag, 3, len(value)) + field
        else:
            table += struct.pack(sign + "HHII", tag, 4, 1, value)
    return b"".join(
        (order.encode(), struct.pack(sign + "HI", 42, place), data, table, bytes(4), extra)
    )
