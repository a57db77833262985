#!/usr/bin/env bash
# Pillow 13.0.0: of two TIFF pictures that hold the same shades with 0 as white (PhotometricInterpretation 0,
# as scanners and X-ray archives write them), the one of 8 bits is turned round as it is read and the one of
# 16 bits is not. The same picture, saved deeper, becomes its negative without a word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 numpy==2.4.0
"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import struct
import sys
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

folder = Path(sys.argv[1])


def write_tiff(name: str, pixels: np.ndarray) -> Path:
    """A little-endian TIFF of one strip, written by hand from the TIFF 6.0 specification."""
    height, width = pixels.shape
    data = pixels.tobytes()
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8 * pixels.itemsize),  # BitsPerSample
        (259, 3, 1),  # Compression: none
        (262, 3, 0),  # PhotometricInterpretation: WhiteIsZero
        (273, 4, 8),  # StripOffsets
        (277, 3, 1),  # SamplesPerPixel
        (278, 4, height),  # RowsPerStrip
        (279, 4, len(data)),  # StripByteCounts
    ]
    data += b"\0" * (len(data) % 2)
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHI", tag, kind, 1)
        directory += struct.pack("<I", value) if kind == 4 else struct.pack("<HH", value, 0)
    path = folder / name
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + b"\0" * 4)
    return path


stored = np.array([[0, 64, 255]])
eight = np.asarray(Image.open(write_tiff("8.tiff", stored.astype("<u1"))))
sixteen = np.asarray(Image.open(write_tiff("16.tiff", (stored * 257).astype("<u2"))))
print("Pillow", PIL.__version__)
print("stored, 0 is white      ", stored.tolist())
print("read from 8 bits        ", eight.tolist())
print("read from 16 bits, / 257", (sixteen // 257).tolist())
assert eight.tolist() == [[255, 191, 0]], "8 bits are no longer turned round"
assert (sixteen // 257).tolist() == [[0, 64, 255]], "16 bits are turned round now"
PYTHON
echo "as found: 8 bits are turned round, 16 bits are not"
