"""The columns of a table as numbers: standardised numbers, and categories as one of several."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, pstdev
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.errors import DataError, excerpt
from dropsmith.files import FiniteNumber
from dropsmith.tasks.data.label_column import is_no_number
from dropsmith.tasks.data.number_forms import number_in
from dropsmith.tasks.data.table_layout import TableLayout

MOST_VALUES = 100
"""Values of a category, at most."""

_LARGEST = 1e30
"""The size of the largest number that is read: its square is still a number."""


class StoredFeature(TypedDict):
    """A feature in JSON."""

    name: str
    values: list[str]
    mean: FiniteNumber
    unit: Annotated[FiniteNumber, Gt(0)]
    blanks: bool


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column of a table, and the numbers that stand for its cells.

    A number is standardised by training; a missing one is the mean, and where training has missing
    ones, a further 1 marks each. A category is a 1 in the place of its value; one that training
    does not have, and a missing one where training has none, is zeros alone.

    >>> age = Feature.of_numbers("age", ["20", "30", "", "40"])
    >>> age.numbers(["30", ""]).tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    >>> colour = Feature.of_categories("colour", ["red", "blue", "red"])
    >>> colour.numbers(["blue", "green"]).tolist()
    [[1.0, 0.0], [0.0, 0.0]]

    Args:
        name: of the column.
        values: of a category, in order; none of a number.
        mean, unit: of a number: it is the cell less the mean, divided by the unit.
        blanks: whether numbers are missing in training.
    """

    name: str
    values: tuple[str, ...] = ()
    mean: float = 0.0
    unit: float = 1.0
    blanks: bool = False

    @classmethod
    def of_numbers(cls, name: str, cells: Sequence[str]) -> "Feature":
        """The feature of a column of numbers, from its cells in training.

        Raises:
            DataError: it is empty, or a cell holds something else.
        """
        numbers = [_number(cell, name) for cell in cells if not is_no_number(cell)]
        if not numbers:
            raise _empty(name)
        return cls(
            name=name,
            mean=fmean(numbers),
            unit=pstdev(numbers) or 1.0,
            blanks=len(numbers) < len(cells),
        )

    @classmethod
    def of_categories(cls, name: str, cells: Sequence[str]) -> "Feature":
        """The feature of a column of categories, from its cells in training.

        Raises:
            DataError: it is empty, or holds more than `MOST_VALUES` values.
        """
        values = sorted({cell.strip() for cell in cells})
        if all(map(is_no_number, values)):
            raise _empty(name)
        if len(values) > MOST_VALUES:
            raise DataError(
                f"the column {name!r} holds more than {MOST_VALUES} values that are no numbers, "
                f"such as {excerpt(values[len(values) // 2])}\n"
                "  leave it out: --feature-columns names those that are read"
            )
        return cls(name=name, values=tuple(values))

    @property
    def width(self) -> int:
        """How many numbers stand for a cell."""
        return len(self.values) or 1 + self.blanks

    def numbers(self, cells: Sequence[str]) -> Tensor:
        """The numbers `[cells, width]` of cells.

        Raises:
            DataError: a cell of a column of numbers holds something else.
        """
        columns = torch.zeros(len(cells), self.width)
        if not cells:
            return columns
        if self.values:
            order = {value: place for place, value in enumerate(self.values)}
            places = torch.tensor([order.get(cell.strip(), -1) for cell in cells])
            rows = (places >= 0).nonzero().squeeze(1)
            columns[rows, places[rows]] = 1.0
            return columns
        missing = torch.tensor([is_no_number(cell) for cell in cells])
        values = [self.mean if is_no_number(c) else _number(c, self.name) for c in cells]
        columns[:, 0] = (torch.tensor(values, dtype=torch.float64) - self.mean) / self.unit
        if self.blanks:
            columns[:, 1] = missing.float()
        return columns

    def to_json(self) -> dict[str, Any]:
        """JSON values, from which `from_json` makes it again."""
        return asdict(self) | {"values": list(self.values)}

    @classmethod
    def from_json(cls, values: StoredFeature) -> "Feature":
        """The feature in checked JSON values."""
        return cls(
            name=values["name"],
            values=tuple(values["values"]),
            mean=values["mean"],
            unit=values["unit"],
            blanks=values["blanks"],
        )


def fit_features(layout: TableLayout, rows: Sequence[Sequence[str]]) -> tuple[Feature, ...]:
    """The features of a table, from the cells of its columns of features in training.

    Raises:
        DataError: a column is empty, or cannot be read as its layout says.
    """
    columns = zip(*rows, strict=True)
    return tuple(
        Feature.of_numbers(name, cells)
        if name in layout.numbers
        else Feature.of_categories(name, cells)
        for name, cells in zip(layout.features, columns, strict=True)
    )


def _empty(name: str) -> DataError:
    return DataError(
        f"the column {name!r} is empty in training\n"
        "  leave it out: --feature-columns names those that are read"
    )


def _number(cell: str, name: str) -> float:
    value = number_in(cell)
    if value is None or not abs(value) <= _LARGEST:
        raise DataError(
            f"the column {name!r} holds numbers, and {excerpt(cell)} in one row\n"
            "  correct it, or leave the cell empty where the number is not known"
        )
    return value
