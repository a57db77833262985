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
from dropsmith.tasks.data.column_profile import Profile, is_no_number, number_in

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

    >>> age = Feature.fit("age", ["20", "30", "", "40"])
    >>> age.numbers(["30", ""]).tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    >>> Feature.fit("colour", ["red", "blue", "red"]).numbers(["blue", "green"]).tolist()
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
    def fit(cls, name: str, cells: Sequence[str]) -> "Feature":
        """The feature of a column, from its cells in training.

        Raises:
            DataError: it is empty, or holds more than `MOST_VALUES` values that are no numbers.
        """
        profile = Profile()
        for cell in cells:
            profile.add(cell)
        if profile.kind == "empty":
            raise DataError(
                f"the column {name!r} is empty in training\n  leave it out: --feature-columns"
            )
        if profile.kind == "number":
            numbers = [_number(cell, name) for cell in cells if not is_no_number(cell)]
            return cls(
                name=name,
                mean=fmean(numbers),
                unit=pstdev(numbers) or 1.0,
                blanks=profile.blanks > 0,
            )
        values = sorted({cell.strip() for cell in cells})
        if len(values) > MOST_VALUES:
            raise DataError(
                f"the column {name!r} holds more than {MOST_VALUES} values that are no numbers, "
                f"such as {excerpt(values[len(values) // 2])}\n"
                "  leave it out: --feature-columns; a decimal comma is to be written as a point"
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


def _number(cell: str, name: str) -> float:
    value = number_in(cell)
    if value is None or not abs(value) <= _LARGEST:
        raise DataError(
            f"the column {name!r} holds numbers, and {excerpt(cell)} in one row\n"
            "  correct it, or leave the cell empty where the number is not known"
        )
    return value
