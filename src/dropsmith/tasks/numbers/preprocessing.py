"""The steps from the rows of a table of numbers and categories to a tensor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from annotated_types import MinLen
from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.files import check
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.label_column import LabelColumn, StoredLabelColumn
from dropsmith.tasks.data.part import Part, Split
from dropsmith.tasks.data.preprocessing import Inputs, Preprocessing
from dropsmith.tasks.data.table_reading import StoredTableReading, TableReading
from dropsmith.tasks.numbers.features import Feature, StoredFeature


class StoredNumbersPreprocessing(TypedDict):
    """Preprocessing of a table of numbers in JSON."""

    kind: Literal["numbers"]
    input: str | None
    reading: StoredTableReading
    label: StoredLabelColumn
    features: Annotated[list[StoredFeature], MinLen(1)]


@dataclass(frozen=True, kw_only=True)
class NumbersPreprocessing(Preprocessing):
    """Columns of a table side by side, each as its `Feature` says.

    Args:
        reading: the columns, and how a table is read.
        label: the column of labels.
        features: the columns as numbers, in order.
    """

    kind = "numbers"

    reading: TableReading
    label: LabelColumn
    features: tuple[Feature, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "input": self.input,
            "reading": self.reading.to_json(),
            "label": self.label.to_json(),
            "features": [feature.to_json() for feature in self.features],
        }

    @classmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        stored = check(values, StoredNumbersPreprocessing)
        return cls(
            input=stored["input"],
            reading=TableReading.from_json(stored["reading"]),
            label=LabelColumn.from_json(stored["label"]),
            features=tuple(map(Feature.from_json, stored["features"])),
        )

    @property
    def width(self) -> int:
        """How many numbers stand for a row."""
        return sum(feature.width for feature in self.features)

    def read(self, source: Path, bounds: Bounds = USUAL) -> Inputs:
        return self.inputs(self.reading.rows(source, bounds))

    def inputs(self, rows: Sequence[Mapping[str, Any]]) -> Inputs:
        part = self.with_input_name(self.split(self.reading.cells(rows, blanks=True)))
        return Inputs(names=self.reading.names(rows), part=part, labels=self.label.of_rows(rows))

    def example(self) -> Part:
        return self.with_input_name(self.split([("",) * len(self.features)]))

    def split(self, rows: Sequence[Sequence[str]], labels: Tensor | None = None) -> Split:
        """The column `features`, and that of labels where there are some."""
        cells = list(zip(*rows, strict=True)) or [()] * len(self.features)
        numbers = [f.numbers(column) for f, column in zip(self.features, cells, strict=True)]
        columns = {"features": torch.cat(numbers, dim=1)}
        labelled = columns if labels is None else columns | {"labels": labels}
        return Split(labelled, unit=self.label.unit)
