"""Text classification: sentences with a label each, for a small Transformer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import DataError
from dropsmith.models import SmallTransformer, transformer_plan
from dropsmith.models.small_transformer import TRANSFORMER_NOISES
from dropsmith.objectives.losses import classification
from dropsmith.sites import Plan
from dropsmith.tasks._budget import Budget
from dropsmith.tasks._part import Split
from dropsmith.tasks._split import PARTS, check_parts, limited, round_robin
from dropsmith.tasks._task import Data, Task
from dropsmith.tasks.parts import Parts, parts_in, parts_on_hub, settled
from dropsmith.tasks.words import PAD, UNKNOWN, Vocabulary, tokenise
from dropsmith.terms import Loss
from dropsmith.views import logits_of

LONGEST, WORDS = 64, 10_000
"""Words kept of a text, and words in the vocabulary, at most."""


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """Where sentences come from.

    Args:
        name: the task's, and the folder's inside a folder of several sets.
        about: what they are, in words for the report.
        text: what the column of texts may be called in a table.
        names: what the labels are called, by the label in the table; None to keep those.
        hub: address, configuration and text column on the Hub; None where it is not there.
        limit: training examples where no limit is given; None for all.
    """

    name: str
    about: str
    text: tuple[str, ...] = ("sentence",)
    names: tuple[tuple[str, str], ...] | None = None
    hub: tuple[str, str | None, str] | None = None
    limit: int | None = None

    def read(self, data: Path | None, limit: int | None) -> Data:
        """The examples as padded rows of word numbers, `tokens`, and `labels`.

        The training examples are a balanced subset where there is a limit; words are numbered by
        the training texts alone.
        """
        return _read(self, data.resolve() if data is not None else None, limit)

    def parts(self, data: Path | None) -> Parts:
        """The parts in a folder or table, or on the Hub where none is given."""
        if data is not None:
            inside = data / self.name
            return settled(parts_in(inside if inside.is_dir() else data, self.text))
        if self.hub is None:
            raise DataError(f"the task {self.name} reads a table of texts\n  give it: --data FILE")
        return settled(parts_on_hub(*self.hub, self.name))


@lru_cache(maxsize=4)
def _read(source: TextSource, data: Path | None, limit: int | None) -> Data:
    parts = source.parts(data)
    where = str(data) if data is not None else source.about
    raw = sorted({label for rows in parts.values() for _, label in rows})
    labels = {part: [raw.index(label) for _, label in parts[part]] for part in PARTS}
    check_parts(labels, raw, where)
    kept = limited(round_robin(labels["train"]), source.limit if limit is None else limit).tolist()
    parts["train"] = [parts["train"][i] for i in kept]
    labels["train"] = [labels["train"][i] for i in kept]
    words = {part: [tokenise(text)[:LONGEST] for text, _ in parts[part]] for part in PARTS}
    known = Vocabulary.of(words["train"], special=(PAD, UNKNOWN), most=WORDS)
    called = dict(source.names or ())
    return Data.of(
        [_split(words[part], labels[part], known) for part in PARTS],
        names=[called.get(label, label) for label in raw],
        source=source.about if data is None else f"{source.about} ({data.name})",
        vocabulary=known.words,
    )


def _split(texts: Sequence[Sequence[str]], labels: Sequence[int], known: Vocabulary) -> Split:
    tokens = torch.zeros(len(texts), max(1, *map(len, texts)), dtype=torch.long)
    for row, words in zip(tokens, texts, strict=True):
        row[: len(words)] = torch.tensor(known.ids(words), dtype=torch.long)
    columns = {"tokens": tokens, "labels": torch.tensor(labels, dtype=torch.long)}
    return Split(columns, padded=("tokens",))


@dataclass(frozen=True, kw_only=True)
class TextTask(Task):
    """Sentences with one label each, for `SmallTransformer`.

    Args:
        name: what the task is called.
        source: where its sentences come from.
        budget: the budget that suits it.
        home: what is read where no `data` is given.
    """

    name: str
    source: TextSource
    budget: Budget
    home: Path | None = None
    noises: tuple[str, ...] = TRANSFORMER_NOISES
    blocks: bool = True

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return self.source.read(data if data is not None else self.home, limit)

    def model(self, data: Data) -> nn.Module:
        words = len(data.vocabulary)
        return SmallTransformer(words=words, classes=data.classes, length=LONGEST)

    def plan(self, noise: str, rate: float) -> Plan:
        return transformer_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return classification(logits_of(output), batch["labels"])
