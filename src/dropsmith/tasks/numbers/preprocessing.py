"""The steps from the rows of a table of numbers and categories to a tensor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from annotated_types import MinLen
from torch import Tensor

from dropsmith.files import check
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.table_preprocessing import (
    StoredTablePreprocessing,
    TablePreprocessing,
    table_fields,
)
from dropsmith.tasks.numbers.features import Feature, StoredFeature


class StoredNumbersPreprocessing(StoredTablePreprocessing):
    """Preprocessing of a table of numbers in JSON."""

    kind: Literal["numbers"]
    features: Annotated[list[StoredFeature], MinLen(1)]


@dataclass(frozen=True, kw_only=True)
class NumbersPreprocessing(TablePreprocessing):
    """Columns of a table side by side, each as its `Feature` says.

    Args:
        reading: the columns, and how a table is read.
        label: the column of labels.
        features: the columns as numbers, in order.
    """

    kind = "numbers"

    features: tuple[Feature, ...]

    def to_json(self) -> dict[str, Any]:
        features = [feature.to_json() for feature in self.features]
        return super().to_json() | {"features": features}

    @classmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        stored = check(values, StoredNumbersPreprocessing)
        return cls(
            **table_fields(stored),
            features=tuple(map(Feature.from_json, stored["features"])),
        )

    @property
    def width(self) -> int:
        """How many numbers stand for a row."""
        return sum(feature.width for feature in self.features)

    def row_texts(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
        numbers = [feature.name for feature in self.features if not feature.values]
        return self.reading.cells(rows, blanks=self.reading.columns, numbers=numbers)

    def split(self, texts: Sequence[tuple[str, ...]], labels: Tensor | None = None) -> Split:
        """The column `features`, and that of labels where there are some."""
        cells = list(zip(*texts, strict=True)) or [()] * len(self.features)
        numbers = [f.numbers(column) for f, column in zip(self.features, cells, strict=True)]
        columns = {"features": torch.cat(numbers, dim=1)}
        labelled = columns if labels is None else columns | {"labels": labels}
        return Split(labelled, unit=self.label.unit)
