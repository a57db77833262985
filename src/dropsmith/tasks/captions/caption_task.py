"""The task of captioning pictures, whatever the pictures are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.models import CAPTION_NOISES, ShowAndTell, caption_plan
from dropsmith.numbers import check_whole
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.captions.coco import read_coco
from dropsmith.tasks.captions.examples import Reader, caption_of, vocabulary_of
from dropsmith.tasks.captions.flickr8k import read_flickr8k
from dropsmith.tasks.captions.own_captions import read_own_captions
from dropsmith.tasks.captions.part import Captions
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.selection import (
    NO_LIMIT,
    PARTS,
    apply_limit,
    check_limit,
    round_robin,
)
from dropsmith.tasks.generation import GenerationScores, caption_bleu
from dropsmith.tasks.images.picture_size import Size
from dropsmith.tasks.task import Data, Task, device_of
from dropsmith.terms import Loss

_BATCH = 50
"""Pictures that are captioned at a time."""

_LENGTH = 20
"""Words kept of a caption, at most, and written."""


@cached_by_files(2)
def _read(
    reader: Reader, data: Path | None, limit: int | None, bounds: Bounds, least: int, size: Size
) -> Data:
    found = reader(data, bounds)
    parts = {part: list(found.parts[part]) for part in PARTS}
    full_size = len(parts["train"])
    if limit is not None and limit != NO_LIMIT:
        apply_limit(torch.arange(full_size), limit)
        most = {"train": limit, "validation": max(1, limit // 4), "test": limit}
        parts = {
            part: [shown[i] for i in round_robin([0] * len(shown))[: most[part]].tolist()]
            for part, shown in parts.items()
        }
    words = vocabulary_of((text for one in parts["train"] for text in one.captions), least)
    numbers = {word: number for number, word in enumerate(words)}
    pixels = 3 * size[0] * size[1]
    if pixels * sum(map(len, parts.values())) > bounds.picture_bytes:
        raise bounds.excess("picture_bytes", found.source)
    splits = [
        Captions.of(
            parts[part], found.pictures([one.name for one in parts[part]], size), numbers, _LENGTH
        )
        for part in PARTS
    ]
    return Data.of(
        splits,
        names=words,
        source=found.source,
        vocabulary=words,
        full_size=full_size,
        notes=(*found.notes, *_notes(parts, words, least, size)),
    )


def _notes(
    parts: Mapping[str, Any], words: tuple[str, ...], least: int, size: Size
) -> tuple[tuple[str, str], ...]:
    known = set(words)
    lengths = [text.split() for one in parts["train"] for text in one.captions]
    total = sum(map(len, lengths))
    rare = sum(word not in known for text in lengths for word in text)
    longer = sum(len(text) > _LENGTH for text in lengths)
    counts = ", ".join(f"{part} {len(parts[part]):,}" for part in PARTS)
    return (
        ("pictures", f"{counts}; brought to {size[0]} × {size[1]} pixels (height × width)"),
        (
            "words",
            f"those that occur {least} times or more in the training captions; "
            f"{100 * rare / max(1, total):.1f} % of the words there are rarer",
        ),
        (
            "text length",
            f"the first {_LENGTH} words are kept; {100 * longer / max(1, len(lengths)):.1f} % of "
            "the training captions are longer",
        ),
    )


@dataclass(frozen=True, kw_only=True)
class CaptionTask(Task):
    """Captions of pictures, by `ShowAndTell`.

    An example is one caption of a picture. The model is judged by the likelihood of each word
    given the true ones before it, which validation chooses by, and on test by BLEU of what beam
    search writes for each picture, against all captions of that picture.

    Args:
        name: what the task is called.
        read: makes its pictures and captions.
        budget: the budget that suits it.
        limit: training pictures where no limit is given; None for all. A limit also cuts test to
            as many pictures, and validation to a quarter as many.
        least: how often a word occurs in the training captions, at least, to be known.
        pixels: height and width that pictures are brought to, unless an option says so.
        widths: channels of the model's convolutions.
        width: units of its LSTM.
        attention: whether its words look at places of the picture.
        beams: how many captions beam search follows at a time.
        home: the folder that it reads where it is given none.

    Raises:
        TaskError: a number is of another type, or out of the range of what it means.
    """

    name: str
    read: Reader
    budget: Budget
    limit: int | None = None
    least: int = 5
    pixels: int = 32
    widths: tuple[int, ...] = (16, 32, 64)
    width: int = 128
    attention: bool = False
    beams: int = 3
    home: Path | None = None
    noises: tuple[str, ...] = CAPTION_NOISES
    option_names = ("image_size",)

    def __post_init__(self) -> None:
        check_limit(self.limit)
        for name in ("least", "pixels", "width", "beams"):
            check_whole(name, getattr(self, name), 1, TaskError)

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        check_limit(limit)
        data = self.home if data is None else data
        path = data.resolve() if data is not None else None
        limit_or_default = self.limit if limit is None else limit
        size = self.data_options.image_size or (self.pixels, self.pixels)
        return _read(self.read, path, limit_or_default, self.data_options.bounds, self.least, size)

    def model(self, data: Data) -> nn.Module:
        caption_bleu(["a"], [("a",)])  # a library that is missing is said before hours of training
        _, channels, height, width = data.train.tensors()["pictures"].shape
        return ShowAndTell(
            words=data.classes,
            channels=channels,
            size=height if height == width else (height, width),
            widths=self.widths,
            width=self.width,
            attention=self.attention,
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return caption_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.tokens(logits_of(output), batch["labels"])

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return {"nll": self.loss(output, batch).mean.numbers}

    def score_generation(self, model: nn.Module, data: Data) -> GenerationScores:
        write: Any = getattr(model, "write", None)
        if write is None:
            signature = f"nothing: {type(model).__name__} has no write(image, beams=, longest=)"
            return GenerationScores(signatures={"written": signature})
        test, device, texts = data.test, device_of(model), []
        assert isinstance(test, Captions)
        for start in range(0, len(test.shown), _BATCH):
            images = test.images(slice(start, start + _BATCH)).to(device)
            written = write(images, beams=self.beams, longest=_LENGTH + 1)
            texts += [caption_of(data.vocabulary, numbers) for numbers in written.tolist()]
        scores = caption_bleu(texts, [one.captions for one in test.shown])
        return replace(scores, inputs=tuple(one.name for one in test.shown))


_BUDGET = Budget(epochs=10, batch_size=32, learning_rate=3e-3, weight_decay=0.01)

FLICKR8K = CaptionTask(name="flickr8k", read=read_flickr8k, budget=_BUDGET, limit=1_000)
"""1,000 of the 6,000 training pictures where no limit is given: few enough to overfit."""

FLICKR8K_ATTENTION = CaptionTask(
    name="flickr8k-attention", read=read_flickr8k, budget=_BUDGET, limit=1_000, attention=True
)

COCO_CAPTIONS = CaptionTask(
    name="coco-captions",
    read=read_coco,
    budget=_BUDGET,
    pixels=64,
    widths=(32, 64, 128, 128),
    width=512,
)
"""With 512 units, as in Vinyals et al. (2015)."""

CAPTIONS = CaptionTask(name="captions", read=read_own_captions, budget=_BUDGET, least=2, pixels=48)
"""A user's own pictures and captions."""
