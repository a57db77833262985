"""Sentences and pairs of sentences with a label each, from a table or the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.label_column import LabelColumn
from dropsmith.tasks.data.selection import PARTS, apply_limit, check_limit, round_robin
from dropsmith.tasks.data.sources import subfolder
from dropsmith.tasks.data.tables import column_named, table_rows
from dropsmith.tasks.data.vocabulary import PAD, UNKNOWN_WORD, Vocabulary, tokenise
from dropsmith.tasks.task import Data, Kind
from dropsmith.tasks.text.label_checks import ClassSpellings, value_of
from dropsmith.tasks.text.labels import classes, values
from dropsmith.tasks.text.parts import (
    Parts,
    load_hub_parts,
    part_tables,
    partition,
    read_parts,
)
from dropsmith.tasks.text.preprocessing import TextPreprocessing
from dropsmith.tasks.text.tables import SEPARATOR

LONGEST, WORDS = 64, 10_000
"""Words kept of a sentence, and words in the vocabulary, at most."""


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
        columns, mean, unit = labels.columns(selection)
        return Examples(
            texts={part: [tuple(t.split(SEPARATOR)) for t, _ in parts[part]] for part in PARTS},
            labels=columns,
            names=labels.names,
            columns=self._columns(data, bounds),
            label=LabelColumn(name=self.label, classes=labels.raw_names, mean=mean, unit=unit),
            source=self.about if data is None else f"{self.about} ({data.name})",
        )

    def _columns(self, data: Path | None, bounds: Bounds) -> tuple[str, ...]:
        """The names of the columns of texts."""
        second = () if self.second is None else (self.second,)
        if data is None:
            return (self.hub[2] if self.hub else self.text[0], *second)
        path = next(iter(part_tables(subfolder(data, self.name)).values()))[0]
        return (column_named(path, next(iter(table_rows(path, bounds)))[1], self.text), *second)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Sentences before they are numbers.

    Args:
        texts: of each part, one or two sentences an example.
        labels: of each part.
        names: what the classes are called.
        columns: names of the columns of texts.
        label: the column of labels.
        source: where they come from, in words for the report.
    """

    texts: Mapping[str, Sequence[tuple[str, ...]]]
    labels: Mapping[str, Tensor]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    label: LabelColumn
    source: str


@lru_cache(maxsize=4)
def _read(source: TextSource, data: Path | None, limit: int | None, bounds: Bounds) -> Data:
    examples = source.examples(data, limit, bounds)
    sentences = (
        tokenise(sentence)[:LONGEST] for text in examples.texts["train"] for sentence in text
    )
    vocabulary = Vocabulary.of(sentences, special=(PAD, UNKNOWN_WORD), max_size=WORDS)
    preprocessing = TextPreprocessing(
        columns=examples.columns, label=examples.label, vocabulary=vocabulary, length=LONGEST
    )
    return Data.of(
        [preprocessing.split(examples.texts[part], examples.labels[part]) for part in PARTS],
        names=examples.names,
        source=examples.source,
        vocabulary=vocabulary.words,
        mean=examples.label.mean,
        preprocessing=preprocessing,
    )
