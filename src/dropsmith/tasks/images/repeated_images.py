"""Images that stand in more than one part: the same pixels, or the same to look at."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.repeats import DropRepeats, conflicts_note, repeats_note, rows_to_keep
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.task import Data

_LEAST_SIDE = 32
"""Pixels of a side from which images are large enough for a perceptual hash."""


def find_repeated_images(
    parts: Mapping[str, Split], drop: DropRepeats | None = None
) -> tuple[dict[str, Split], tuple[tuple[str, str], ...]]:
    """The parts, without images that stand in several if asked, and notes of what was found.

    Images are equal where all their pixels are. Images that look alike (an equal perceptual hash;
    needs imagehash) are counted, and never left out.

    >>> import torch
    >>> def part(*values):
    ...     images = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    ...     return Split({"image": images.float(), "labels": torch.zeros(len(values))})
    >>> parts = {"train": part(0, 1), "validation": part(2), "test": part(1, 3)}
    >>> left, notes = find_repeated_images(parts, "test")
    >>> len(left["test"]), notes[0][1]
    (1, '1 test picture is in an earlier part too, and is left out')

    Args:
        parts: with columns `image`, `[count, channels, height, width]` in [0, 1], and `labels`.
        drop: the side that equal images are left out of; None to count them alone.

    Raises:
        DataError: nothing is left of a part.
    """
    keys = {part: _contents(parts[part].columns["image"]) for part in PARTS}
    left = {part: parts[part] for part in PARTS}
    left_out: dict[str, int] = {}
    if drop is not None:
        for part, rows in rows_to_keep(keys, drop, "picture").items():
            left_out[part] = len(left[part]) - len(rows)
            if left_out[part]:
                left[part] = left[part].select(torch.tensor(rows))
                keys[part] = [keys[part][row] for row in rows]
    images = {part: split.columns["image"] for part, split in left.items()}
    labels = {part: split.columns["labels"].tolist() for part, split in left.items()}
    shared = _lookalikes(images, keys)
    notes = repeats_note(keys, "picture", left_out=left_out, drop=drop, shared=shared)
    return left, (*notes, *conflicts_note(keys, labels, "picture"))


def data_of_images(
    parts: Sequence[Split], *, names: Sequence[str], source: str, drop: DropRepeats | None
) -> Data:
    """Data of images, of which those in several parts are noted, or left out.

    Args:
        parts: train, validation and test.
        names, source: as for `Data`.
        drop: the side that equal images are left out of.
    """
    splits, notes = find_repeated_images(dict(zip(PARTS, parts, strict=True)), drop)
    return Data.of(list(splits.values()), names=names, source=source, notes=notes)


def _contents(images: Tensor) -> list[bytes]:
    rows = np.ascontiguousarray(images.numpy())
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def _lookalikes(images: Mapping[str, Tensor], keys: Mapping[str, list[bytes]]) -> list[str]:
    """How many images of validation and test look like one of training, and are not equal to it."""
    if min(images["train"].shape[2:]) < _LEAST_SIDE:
        return []
    if find_spec("imagehash") is None:
        return ['near duplicates are not counted: pip install "dropsmith[near-duplicates]"']
    hashes = {part: _perceptual_hashes(part_images) for part, part_images in images.items()}
    known, equal = set(hashes["train"]), set(keys["train"])
    counts = {
        part: sum(
            look in known and key not in equal
            for look, key in zip(hashes[part], keys[part], strict=True)
        )
        for part in PARTS[1:]
    }
    found = [f"{n:,} of {len(keys[part]):,} {part}" for part, n in counts.items() if n]
    if not found:
        return []
    verb = "looks" if sum(counts.values()) == 1 else "look"
    return [f"{' and '.join(found)} pictures {verb} like one of training (by a perceptual hash)"]


def _perceptual_hashes(images: Tensor) -> list[bytes]:
    """The low frequencies of each image above their median, in 64 bits (imagehash's `phash`)."""
    import imagehash  # pyright: ignore[reportMissingImports]
    from PIL import Image

    pixels = (images * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    grey = pixels.shape[-1] == 1
    pictures = (Image.fromarray(row[..., 0] if grey else row) for row in pixels)
    return [np.packbits(imagehash.phash(picture).hash).tobytes() for picture in pictures]
