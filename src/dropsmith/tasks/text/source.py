"""Sentences and pairs of sentences with a label each, from a table or the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.selection import PARTS, apply_limit, check_limit, round_robin
from dropsmith.tasks.data.sources import subfolder
from dropsmith.tasks.data.vocabulary import PAD, UNKNOWN_WORD, Vocabulary, tokenise
from dropsmith.tasks.task import Data, Kind
from dropsmith.tasks.text.label_checks import ClassSpellings, value_of
from dropsmith.tasks.text.labels import classes, values
from dropsmith.tasks.text.parts import Parts, load_hub_parts, partition, read_parts
from dropsmith.tasks.text.tables import SEPARATOR

LONGEST, WORDS = 64, 10_000
"""Words kept of a sentence, and words in the vocabulary, at most."""

COLUMNS = ("tokens", "second")
"""Names of the sentences of an example, in order."""


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """A source of sentences: a table in a folder, or a data set on the Hub.

    Args:
        name: the task's, and the folder's inside a folder of several sets.
        about: what they are, in words for the report.
        text: what the column of texts may be called in a table.
        second: the column of second sentences, where examples are pairs.
        label: what the column of labels is called.
        kind: whether labels are classes or values.
        names: what the labels are called, by the label in the table; None to keep those.
        hub: address, configuration and text column on the Hub; None where it is not there.
        limit: training examples where no limit is given; None for all.
    """

    name: str
    about: str
    text: tuple[str, ...] = ("sentence",)
    second: str | None = None
    label: str = "label"
    kind: Kind = "classification"
    names: tuple[tuple[str, str], ...] | None = None
    hub: tuple[str, str | None, str] | None = None
    limit: int | None = None

    def read(self, data: Path | None, limit: int | None, bounds: Bounds = USUAL) -> Data:
        """The examples as padded rows of word numbers, `tokens` (and `second`), and `labels`.

        The training examples are a balanced subset where there is a limit; words are numbered by
        the training texts alone.
        """
        check_limit(limit)
        return _read(self, data.resolve() if data is not None else None, limit, bounds)

    def parts(self, data: Path | None, bounds: Bounds = USUAL) -> Parts:
        """The parts in a folder or table, or on the Hub where none is given."""
        pairs = self.second is not None
        if data is not None:
            folder = subfolder(data, self.name)
            check = ClassSpellings() if self.kind == "classification" else value_of
            parts = read_parts(folder, self.text, self.label, self.second, bounds, check)
            return partition(parts, pairs)
        if self.hub is None:
            raise DataError(f"the task {self.name} reads a table of texts\n  give it: --data FILE")
        return partition(load_hub_parts(*self.hub, self.name, self.second), pairs)

    def examples(self, data: Path | None, limit: int | None, bounds: Bounds = USUAL) -> "Examples":
        """The sentences and labels of each part, of training as many as a limit leaves."""
        parts = self.parts(data, bounds)
        place = str(data) if data is not None else self.about
        read = (
            classes(parts, dict(self.names or ()), place) if self.kind == "classification" else None
        )
        labels = read or values(parts, place)
        limit_or_default = self.limit if limit is None else limit
        selection = apply_limit(round_robin(labels.bands), limit_or_default).tolist()
        parts["train"] = [parts["train"][i] for i in selection]
        columns, unit = labels.columns(selection)
        return Examples(
            texts={part: [tuple(t.split(SEPARATOR)) for t, _ in parts[part]] for part in PARTS},
            labels=columns,
            names=labels.names,
            unit=unit,
            source=self.about if data is None else f"{self.about} ({data.name})",
        )


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Sentences before they are numbers.

    Args:
        texts: of each part, one or two sentences an example.
        labels: of each part.
        names: what the classes are called.
        unit: what one unit of a value is in the data's own.
        source: where they come from, in words for the report.
    """

    texts: Mapping[str, Sequence[tuple[str, ...]]]
    labels: Mapping[str, Tensor]
    names: tuple[str, ...]
    unit: float
    source: str


@lru_cache(maxsize=4)
def _read(source: TextSource, data: Path | None, limit: int | None, bounds: Bounds) -> Data:
    examples = source.examples(data, limit, bounds)
    words = {
        part: [[tokenise(sentence)[:LONGEST] for sentence in text] for text in examples.texts[part]]
        for part in PARTS
    }
    sentences = (sentence for example in words["train"] for sentence in example)
    vocabulary = Vocabulary.of(sentences, special=(PAD, UNKNOWN_WORD), max_size=WORDS)
    return Data.of(
        [_split(words[part], examples.labels[part], vocabulary, examples.unit) for part in PARTS],
        names=examples.names,
        source=examples.source,
        vocabulary=vocabulary.words,
    )


def _split(
    examples: Sequence[Sequence[Sequence[str]]], labels: Tensor, vocabulary: Vocabulary, unit: float
) -> Split:
    columns = {
        name: _rows([vocabulary.ids(words) for words in texts])
        for name, texts in zip(COLUMNS, zip(*examples, strict=True), strict=False)
    }
    return Split(columns | {"labels": labels}, padded_columns=tuple(columns), unit=unit)


def _rows(numbers: Sequence[Sequence[int]]) -> Tensor:
    tokens = torch.zeros(len(numbers), max(1, *map(len, numbers)), dtype=torch.long)
    for row, ids in zip(tokens, numbers, strict=True):
        row[: len(ids)] = torch.tensor(ids, dtype=torch.long)
    return tokens
