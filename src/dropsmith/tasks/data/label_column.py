"""The column of labels in a table: names of classes, or values that are standardised."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.errors import DataError, did_you_mean, excerpt
from dropsmith.files import FiniteNumber
from dropsmith.tasks.data.number_forms import DecimalSign, number_in

NO_CLASS = -100
"""The label of an example whose class is not known; the losses leave it out."""


class StoredLabelColumn(TypedDict):
    """A label column in JSON."""

    name: str
    classes: list[str]
    mean: FiniteNumber
    unit: Annotated[FiniteNumber, Gt(0)]


@dataclass(frozen=True, kw_only=True)
class LabelColumn:
    """The column of labels, and the number that stands for each label in training.

    >>> LabelColumn(name="label", classes=("bad", "good")).numbers(["good", None])
    tensor([   1, -100])
    >>> LabelColumn(name="price", mean=10.0, unit=5.0).numbers(["20", ""])
    tensor([2., nan])

    Args:
        name: of the column.
        classes: what the table calls the classes, in the order of their numbers; empty where
            labels are values.
        mean, unit: of values: a value is the label less the mean, divided by the unit.
    """

    name: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    unit: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `from_json` makes it again."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "mean": self.mean,
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, values: StoredLabelColumn) -> "LabelColumn":
        """The column in checked JSON values."""
        return cls(
            name=values["name"],
            classes=tuple(values["classes"]),
            mean=values["mean"],
            unit=values["unit"],
        )

    def of_rows(
        self, rows: Sequence[Mapping[str, Any]], decimal: DecimalSign = "."
    ) -> Tensor | None:
        """The labels of rows; None where no row has the column."""
        if not any(self.name in row for row in rows):
            return None
        return self.numbers([row.get(self.name) for row in rows], decimal)

    def numbers(self, labels: Sequence[Any], decimal: DecimalSign = ".") -> Tensor:
        """A number for each label: -100 or NaN where it is missing.

        Args:
            labels: cells of a table.
            decimal: what stands before the decimals of a value that is written as text.

        Raises:
            DataError: a label is none of the classes, or no number.
        """
        if self.classes:
            order = {name: number for number, name in enumerate(self.classes)}
            return torch.tensor(
                [self._class(label, row, order) for row, label in enumerate(labels, start=1)],
                dtype=torch.long,
            )
        return torch.tensor(
            [self._value(label, row, decimal) for row, label in enumerate(labels, start=1)]
        )

    def _class(self, label: Any, row: int, order: Mapping[str, int]) -> int:
        if is_missing(label):
            return NO_CLASS
        name = str(label).strip()
        if name not in order:
            raise DataError(
                f"row {row}: the label {excerpt(name)} is no class of the training data\n"
                f"  the classes are: {', '.join(list(order)[:20])}" + did_you_mean(name, order)
            )
        return order[name]

    def _value(self, label: Any, row: int, decimal: DecimalSign) -> float:
        if is_no_number(label):
            return math.nan
        value = number_in(label, decimal)
        if value is None:
            raise DataError(f"row {row}: the label {excerpt(label)} is not a number")
        return (value - self.mean) / self.unit


def is_missing(cell: Any) -> bool:
    """True of an empty cell, of `null`, and of a number that is none.

    >>> is_missing(""), is_missing(None), is_missing(float("nan")), is_missing("None")
    (True, True, True, False)
    """
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


_NO_NUMBER = frozenset({"na", "n/a", "nan", "null", "none", "?", "-", "<na>", "#n/a"})
"""Cells, in lower case, that stand for a number that is missing."""


def is_no_number(cell: Any) -> bool:
    """True of an empty cell, and of one that says that a number is missing.

    >>> is_no_number(""), is_no_number("NA"), is_no_number("0")
    (True, True, False)
    """
    return is_missing(cell) or (isinstance(cell, str) and cell.strip().lower() in _NO_NUMBER)
