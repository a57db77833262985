"""A part of the data that is pictures with captions: an example is one caption of a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.models import small_seq2seq
from dropsmith.tasks.captions.examples import Captioned, numbers_of
from dropsmith.tasks.data.part import RowPart
from dropsmith.tasks.language.stream import IGNORE_INDEX
from dropsmith.tasks.seq2seq.sequences import pad_rows

_BEGIN, _END, _PAD = small_seq2seq.BEGIN, small_seq2seq.END, small_seq2seq.PAD


@dataclass(frozen=True, eq=False)
class Captions(RowPart):
    """Pictures, and captions that each belong to one of them.

    A picture is kept once, as bytes, however many captions it has. A batch is as wide as the
    longest caption in it.

    >>> shown = [Captioned("a.png", ("a dog", "dog"))]
    >>> part = Captions.of(shown, torch.zeros(1, 3, 2, 2, dtype=torch.uint8), {"a": 4, "dog": 5}, 9)
    >>> part.rows(slice(0, 2))["labels"].tolist()
    [[4, 5, 2], [5, 2, -100]]

    Args:
        pictures: `[pictures, 3, height, width]`, bytes.
        picture: the number of the picture of each caption.
        target: `[captions, time]`, each begun by `BEGIN`, ended by `END` and padded.
        shown: the pictures' names and captions.
    """

    pictures: Tensor
    picture: Tensor
    target: Tensor
    shown: tuple[Captioned, ...]

    @classmethod
    def of(
        cls,
        shown: Sequence[Captioned],
        pictures: Tensor,
        numbers: Mapping[str, int],
        length: int,
    ) -> "Captions":
        """The captions of some pictures, of each at most `length` words."""
        pairs = [(i, caption) for i, one in enumerate(shown) for caption in one.captions]
        target = [[_BEGIN, *numbers_of(caption, numbers)[:length], _END] for _, caption in pairs]
        return cls(pictures, torch.tensor([i for i, _ in pairs]), pad_rows(target), tuple(shown))

    def tensors(self) -> Mapping[str, Tensor]:
        return {"pictures": self.pictures, "picture": self.picture, "target": self.target}

    def __len__(self) -> int:
        return len(self.picture)

    def images(self, index: Tensor | slice) -> Tensor:
        """Some pictures by their number, from 0 to 1."""
        return self.pictures[index].float() / 255

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        target = self.target[index]
        target = target[:, : int((target != _PAD).sum(1).max())]
        labels = target[:, 1:].masked_fill(target[:, 1:] == _PAD, IGNORE_INDEX)
        return {
            "image": self.images(self.picture[index]),
            "target": target[:, :-1],
            "labels": labels,
        }

    def rename_input(self, name: str) -> "Captions":
        raise DataError("captions have two inputs: forward(image, target)")
