"""Sentences and pairs of sentences with a label each, from a table or the Hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions
from dropsmith.tasks.data.label_column import LabelColumn
from dropsmith.tasks.data.repeats import DropRepeats, conflicts_note, repeats_note
from dropsmith.tasks.data.selection import PARTS, apply_limit, check_limit, round_robin
from dropsmith.tasks.data.sources import subfolder
from dropsmith.tasks.data.table_layout import TableLayout
from dropsmith.tasks.data.table_parts import file_states, first_table
from dropsmith.tasks.data.table_reading import TableReading
from dropsmith.tasks.data.tables import column_named, table_rows
from dropsmith.tasks.data.vocabulary import PAD, UNKNOWN_WORD, Vocabulary, tokenise
from dropsmith.tasks.task import Data, Kind
from dropsmith.tasks.text.label_checks import ClassSpellings, Place, value_of
from dropsmith.tasks.text.labels import classes, values
from dropsmith.tasks.text.notes import Notes, columns_notes, length_note, unlabelled_note
from dropsmith.tasks.text.own_rows import OwnRows, read_own_rows
from dropsmith.tasks.text.parts import (
    Parts,
    load_hub_parts,
    read_parts,
    split_words,
    three_parts,
    without_equal_texts,
)
from dropsmith.tasks.text.preprocessing import TextPreprocessing, sentences_of
from dropsmith.tasks.text.row_keys import (
    count_left_out,
    drop_rows,
    keys_of_parts,
    shared_texts,
)
from dropsmith.tasks.text.tables import SEPARATOR

LONGEST, WORDS = 64, 10_000
"""Words kept of a sentence where no length is set, and words in the vocabulary, at most."""


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """A source of sentences: a table in a folder, or a data set on the Hub.

    Args:
        name: the task's, and the folder's inside a folder of several sets.
        about: what they are, in words for the report.
        text: what the column of texts may be called in a table.
        second: the column of second sentences, where examples are pairs.
        columns: the columns of texts, in place of `text` and `second`; two are a pair, and more
            are one text.
        label: what the column of labels is called.
        id_column: the column that names the rows, or None.
        layout: the columns of a table of the user's own.
        kind: whether labels are classes or values.
        names: what the labels are called, by the label in the table; None to keep those.
        hub: address, configuration and text column on the Hub; None where it is not there.
        limit: training examples where no limit is given; None for all.
    """

    name: str
    about: str
    text: tuple[str, ...] = ("sentence",)
    second: str | None = None
    columns: tuple[str, ...] = ()
    label: str = "label"
    id_column: str | None = None
    layout: TableLayout | None = None
    kind: Kind = "classification"
    names: tuple[tuple[str, str], ...] | None = None
    hub: tuple[str, str | None, str] | None = None
    limit: int | None = None

    @property
    def is_paired(self) -> bool:
        """True if an example is a pair of texts."""
        return len(self.columns) == 2 if self.columns else self.second is not None

    def with_options(self, options: DataOptions) -> "TextSource":
        """The source with the columns that options name."""
        return replace(
            self,
            columns=options.text_columns or self.columns,
            label=options.label_column or self.label,
            id_column=options.id_column or self.id_column,
        )

    def read(self, data: Path | None, limit: int | None, options: DataOptions = NO_OPTIONS) -> Data:
        """The examples as padded rows of word numbers, `tokens` (and `second`), and `labels`.

        The training examples are a balanced subset where there is a limit; words are numbered by
        the training texts alone.
        """
        check_limit(limit)
        path = data.resolve() if data is not None else None
        states = self.states(path, options)
        return _read(self.with_options(options), path, limit, options, states)

    def states(self, data: Path | None, options: DataOptions = NO_OPTIONS) -> object:
        """The times and sizes of the files that are read, for a cache."""
        return None if data is None else file_states(subfolder(data, self.name), options)

    def parts(
        self,
        data: Path | None,
        options: DataOptions = NO_OPTIONS,
        unlabelled: list[Place] | None = None,
    ) -> Parts:
        """The parts in a folder or table, or on the Hub where none is given, as they are there."""
        if data is None and self.hub is None:
            raise DataError(f"the task {self.name} reads a table of texts\n  give it: --data FILE")
        if data is None:
            assert self.hub is not None
            return load_hub_parts(*self.hub, self.name, self.second)
        return read_parts(
            subfolder(data, self.name),
            self.text,
            self.label,
            self.second,
            columns=self.columns,
            options=options,
            check=ClassSpellings() if self.kind == "classification" else value_of,
            unlabelled=unlabelled,
        )

    def examples(
        self, data: Path | None, limit: int | None, options: DataOptions = NO_OPTIONS
    ) -> "Examples":
        """The sentences and labels of each part, of training as many as a limit leaves."""
        columns = self._columns(data, options)
        rows = self._divided(data, options)
        examples = examples_of(
            rows.parts,
            self.kind,
            place=str(data) if data is not None else self.about,
            label=self.label,
            reading=TableReading(
                columns=columns,
                id_column=self.id_column,
                delimiter=options.delimiter,
                encoding=options.encoding,
                decimal="." if self.layout is None else self.layout.decimal,
            ),
            names=dict(self.names or ()),
            limit=self.limit if limit is None else limit,
            left_out=rows.left_out,
            drop=options.drop_repeats,
        )
        return replace(
            examples,
            texts={
                part: [sentences_of(text, self.is_paired) for text in texts]
                for part, texts in examples.texts.items()
            },
            source=self.about if data is None else f"{self.about} ({data.name})",
            notes=(*self._columns_note(columns), *rows.notes, *examples.notes),
        )

    def _divided(self, data: Path | None, options: DataOptions) -> OwnRows:
        """The three parts, and how they came about."""
        if self.layout is not None and data is not None:
            return read_own_rows(data, self.layout, options)
        unlabelled: list[Place] = []
        parts = self.parts(data, options, unlabelled)
        notes = (("split", split_words(parts)), *unlabelled_note(len(unlabelled)))
        divided, drop = three_parts(parts, self.is_paired), options.drop_repeats
        kept = (
            without_equal_texts(divided)
            if drop is None
            else drop_rows(divided, keys_of_parts(divided), drop, "text")
        )
        return OwnRows(parts=kept, notes=notes, left_out=count_left_out(divided, kept))

    def _columns_note(self, columns: tuple[str, ...]) -> Notes:
        layout = self.layout or TableLayout(
            texts=columns, label=self.label, kind=self.kind, id_column=self.id_column
        )
        return columns_notes(layout)

    def _columns(self, data: Path | None, options: DataOptions) -> tuple[str, ...]:
        """The names of the columns of texts."""
        second = () if self.second is None else (self.second,)
        if self.columns:
            return self.columns
        if data is None:
            return (self.hub[2] if self.hub else self.text[0], *second)
        path = first_table(subfolder(data, self.name))
        rows = table_rows(
            path, options.bounds, delimiter=options.delimiter, encoding=options.encoding
        )
        first = next(iter(rows), None)
        if first is None:
            raise DataError(f"no rows in {path}")
        return (column_named(path, first[1], self.text), *second)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Inputs and labels of examples before the inputs are numbers.

    Args:
        texts: of each part, the texts or cells of each example.
        labels: of each part.
        names: what the classes are called.
        label: the column of labels.
        reading: the columns of inputs, and how the table is read.
        source: where they come from, in words for the report.
        notes: what was found, for `Data`.
    """

    texts: Mapping[str, Sequence[tuple[str, ...]]]
    labels: Mapping[str, Tensor]
    names: tuple[str, ...]
    label: LabelColumn
    reading: TableReading
    source: str = ""
    notes: Notes = ()


def examples_of(
    parts: Parts,
    kind: Kind,
    *,
    place: str,
    label: str,
    reading: TableReading,
    names: Mapping[str, str],
    limit: int | None,
    texts: int | None = None,
    left_out: Mapping[str, int] | None = None,
    drop: DropRepeats | None = None,
) -> Examples:
    """The examples in parts, their labels as numbers, of training as many as a limit leaves.

    Args:
        parts: of `partition`.
        kind: whether labels are classes or values.
        place: where they come from, for messages.
        label: the name of the column of labels.
        reading: the columns of inputs, and how the table is read.
        names: names of labels, where the report should have others.
        limit: training examples, chosen so that they are balanced over the labels.
        texts: how many of the first cells are texts; all where None.
        left_out: how many rows of each part were left out, because another part has them too.
        drop: the side that options leave them out of.

    Raises:
        DataError: a part lacks examples, or there are fewer than two classes.
        TaskError: there are fewer training examples than the limit.
    """
    read = classes(parts, names, place) if kind == "classification" else values(parts, place)
    selection = apply_limit(round_robin(read.bands), limit).tolist()
    kept = parts | {"train": [parts["train"][i] for i in selection]}
    columns, mean, unit = read.columns(selection)
    text_columns = reading.columns[:texts]
    what = {0: "row", 2: "pair"}.get(len(text_columns), "text")
    keys, shared = keys_of_parts(kept, texts), shared_texts(kept, text_columns)
    labels = {part: column.tolist() for part, column in columns.items()}
    return Examples(
        texts={part: [tuple(t.split(SEPARATOR)) for t, _ in kept[part]] for part in PARTS},
        labels=columns,
        names=read.names,
        label=LabelColumn(name=label, classes=read.raw_names, mean=mean, unit=unit),
        reading=reading,
        notes=(
            *repeats_note(keys, what, left_out=left_out, drop=drop, shared=shared),
            *conflicts_note(keys, labels, what),
        ),
    )


@lru_cache(maxsize=4)
def _read(
    source: TextSource, data: Path | None, limit: int | None, options: DataOptions, states: object
) -> Data:
    examples, length = source.examples(data, limit, options), options.text_length or LONGEST
    vocabulary, sizes = fit_vocabulary(examples.texts["train"], length)
    preprocessing = TextPreprocessing(
        reading=examples.reading, label=examples.label, vocabulary=vocabulary, length=length
    )
    return Data.of(
        [preprocessing.split(examples.texts[part], examples.labels[part]) for part in PARTS],
        names=examples.names,
        source=examples.source,
        vocabulary=vocabulary.words,
        mean=examples.label.mean,
        notes=(*examples.notes, length_note(sizes, length)),
        preprocessing=preprocessing,
        # Positions are as many as words are kept, however long the texts are.
        settings=() if length == LONGEST else (f"text length {length}",),
    )


def fit_vocabulary(texts: Sequence[tuple[str, ...]], length: int) -> tuple[Vocabulary, list[int]]:
    """The words of the training texts, as far as they are kept, and how many each text has.

    Args:
        texts: of each example.
        length: words kept of a text.
    """
    words = [tokenise(sentence) for text in texts for sentence in text]
    kept = (sentence[:length] for sentence in words)
    vocabulary = Vocabulary.of(kept, special=(PAD, UNKNOWN_WORD), max_size=WORDS)
    return vocabulary, [len(sentence) for sentence in words]
