"""The texts, numbers and labels of each part of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.data.table_layout import TableLayout
from dropsmith.tasks.data.table_reading import TableReading
from dropsmith.tasks.mixed.preprocessing import MixedPreprocessing
from dropsmith.tasks.numbers.features import fit_features
from dropsmith.tasks.numbers.preprocessing import NumbersPreprocessing
from dropsmith.tasks.text.notes import Notes, columns_notes, missing_note
from dropsmith.tasks.text.own_rows import read_own_rows
from dropsmith.tasks.text.preprocessing import TextTablePreprocessing, sentences_of
from dropsmith.tasks.text.source import examples_of

Texts = Sequence[tuple[str, ...]]
Cells = Sequence[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class MixedExamples:
    """Rows of texts, numbers and categories before they are numbers of a model.

    Args:
        texts: of each part, the texts of each row: two of a pair, else one.
        cells: of each part, the cells of the columns of numbers and categories.
        labels: of each part.
        names: what the classes are called.
        numbers: the steps of these columns, fitted on training.
        notes: what was found.
        source: where they come from, in words for the report.
    """

    texts: Mapping[str, Texts]
    cells: Mapping[str, Cells]
    labels: Mapping[str, Tensor]
    names: tuple[str, ...]
    numbers: NumbersPreprocessing
    notes: Notes
    source: str

    def steps(self, text: TextTablePreprocessing) -> MixedPreprocessing:
        """The preprocessing with these steps of the texts."""
        return MixedPreprocessing(text=text, numbers=self.numbers)

    def splits(self, steps: MixedPreprocessing) -> list[Split]:
        """The three parts as a model's columns."""
        return [steps.split(self.texts[p], self.cells[p], self.labels[p]) for p in PARTS]


def read_mixed(
    path: Path, layout: TableLayout, limit: int | None, options: DataOptions
) -> tuple[MixedExamples, TableReading]:
    """The rows of a table, or of the tables in a folder, and the reading of their texts.

    Raises:
        DataError: a table cannot be read.
        TaskError: there are fewer training examples than the limit.
    """
    rows = read_own_rows(path, layout, options)

    def reading(columns: tuple[str, ...]) -> TableReading:
        return TableReading(
            columns=columns,
            id_column=layout.id_column,
            delimiter=options.delimiter,
            encoding=options.encoding,
            decimal=layout.decimal,
        )

    examples = examples_of(
        rows.parts,
        layout.kind,
        place=str(path),
        label=layout.label,
        reading=reading(layout.columns),
        names={},
        limit=limit,
        texts=len(layout.texts),
        left_out=rows.left_out,
        drop=options.drop_repeats,
    )
    count = len(layout.texts)
    texts = _columns(examples.texts, lambda row: sentences_of(row[:count], count == 2))
    cells = _columns(examples.texts, lambda row: row[count:])
    features = fit_features(layout, cells["train"])
    numbers = NumbersPreprocessing(
        reading=reading(layout.features), label=examples.label, features=features
    )
    notes = (
        *columns_notes(layout, {f.name: len(f.values) for f in features if f.values}),
        *rows.notes,
        *examples.notes,
        *missing_note([feature.name for feature in features if feature.blanks]),
    )
    mixed = MixedExamples(
        texts=texts,
        cells=cells,
        labels=examples.labels,
        names=examples.names,
        numbers=numbers,
        notes=notes,
        source=f"texts, numbers and labels ({path.name})",
    )
    return mixed, reading(layout.texts)


def _columns(
    parts: Mapping[str, Sequence[tuple[str, ...]]],
    choose: Callable[[tuple[str, ...]], tuple[str, ...]],
) -> dict[str, list[tuple[str, ...]]]:
    return {part: [choose(row) for row in rows] for part, rows in parts.items()}
