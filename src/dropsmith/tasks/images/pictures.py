"""A part of the data that is pictures in files, read when they are needed."""

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from dropsmith.rng import Key, Source, uniform
from dropsmith.tasks.data.part import Batch, Part, RowPart
from dropsmith.tasks.data.selection import rows_at
from dropsmith.tasks.images.picture_reader import Box, PictureReader

LEAST_AREA, WIDEST = 0.08, 4 / 3
"""Of what training sees of a picture: its smallest share of the area, and how much it may be
wider than high, or higher than wide (Szegedy et al., 2015)."""

AROUND = 256 / 224
"""The shorter side of a picture that is scored, over that of the square cut from its middle."""

_DOMAIN = 0x43524F50


@dataclass(frozen=True, eq=False)
class Pictures(RowPart):
    """Files of pictures and their classes: training sees a random cut of each, others its middle.

    What is cut is a function of seed and step. The pictures are known by the names and sizes of
    their files, which is all that the hash of the data is of.

    Args:
        files: of the pictures, each in the folder of its class.
        labels: a class for each.
        size: height and width in pixels of what the model is given.
        column: what the model's forward calls the images.
        reader: of the files.
    """

    files: Sequence[Path]
    labels: Tensor
    size: int = 224
    column: str = "image"
    reader: PictureReader = field(default_factory=PictureReader)

    def tensors(self) -> Mapping[str, Tensor]:
        names = torch.tensor([_number(f"{file.parent.name}/{file.name}") for file in self.files])
        sizes = torch.tensor([file.stat().st_size for file in self.files])
        return {"names": names, "sizes": sizes, "labels": self.labels}

    def __len__(self) -> int:
        return len(self.files)

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        """The middles of these pictures, and their classes."""
        return self._read(torch.arange(len(self))[index], _middle)

    def batch(self, step: int, *, seed: int, batch_size: int) -> Batch:
        """The next pictures of one permutation after another, of each a random cut."""
        rows = rows_at(step, seed=seed, batch_size=batch_size, examples=len(self))
        cuts = _cuts(Key.of(seed).fold(_DOMAIN, step), len(rows))
        return Batch(columns=self._read(rows, cuts))

    def rename_input(self, name: str) -> "Pictures":
        return replace(self, column=name)

    def select(self, index: Tensor) -> "Pictures":
        files = tuple(self.files[row] for row in index.tolist())
        return replace(self, files=files, labels=self.labels[index])

    def concatenate(self, part: Part) -> "Pictures":
        assert isinstance(part, Pictures)
        labels = torch.cat([self.labels, part.labels])
        return replace(self, files=(*self.files, *part.files), labels=labels)

    def _read(self, rows: Tensor, cut: "Cut") -> dict[str, Tensor]:
        def read(place: int, row: int) -> Tensor:
            return self.reader.read_square(self.files[row], self.size, partial(cut, place))

        # Pillow reads without holding up other threads.
        with ThreadPoolExecutor() as pool:
            images = list(pool.map(read, range(len(rows)), rows.tolist()))
        return {self.column: torch.stack(images), "labels": self.labels[rows]}


Cut = Callable[[int, int, int], Box]
"""Takes the place of a picture in a batch, its width and height; returns the part to see."""


def _middle(place: int, width: int, height: int) -> Box:
    side = min(width, height) / AROUND
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _cuts(key: Key, count: int) -> Cut:
    """A random cut for each of a batch's pictures: its area, its shape, and where it lies."""
    area, shape, across, down = (uniform(Source(key.fold(i)), (count,)).tolist() for i in range(4))

    def cut(place: int, width: int, height: int) -> Box:
        pixels = width * height * (LEAST_AREA + (1 - LEAST_AREA) * area[place])
        ratio = math.exp(math.log(WIDEST) * (2 * shape[place] - 1))
        wide, high = min(math.sqrt(pixels * ratio), width), min(math.sqrt(pixels / ratio), height)
        left, top = across[place] * (width - wide), down[place] * (height - high)
        return left, top, left + wide, top + high

    return cut


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:7], "big")
