"""Labels as a table writes them, as numbers: classes in order, or values that are standardised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

import torch
from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.tasks.data.selection import check_parts
from dropsmith.tasks.text.label_checks import value_in
from dropsmith.tasks.text.parts import Parts

_BANDS = 4
"""A limited choice of examples with values is balanced over so many ranges of them."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of each part.

    Args:
        numbers: a class or a value for each example.
        bands: a class for each example of training, to choose a balanced few by.
        names: what the classes are called; empty for values.
        raw_names: what the table calls the classes, where that is something else.
    """

    numbers: Mapping[str, Sequence[float]]
    bands: Sequence[int]
    names: tuple[str, ...] = ()
    raw_names: tuple[str, ...] = ()

    def columns(self, selection: Sequence[int]) -> tuple[dict[str, Tensor], float, float]:
        """A column for each part, of training these examples only, and a value's mean and unit.

        Values are standardised by the training examples that are kept.
        """
        numbers = dict(self.numbers) | {"train": [self.numbers["train"][i] for i in selection]}
        if self.names:
            return (
                {part: torch.tensor(part_numbers).long() for part, part_numbers in numbers.items()},
                0.0,
                1.0,
            )
        mean, unit = fmean(numbers["train"]), pstdev(numbers["train"]) or 1.0
        return (
            {part: torch.tensor([(x - mean) / unit for x in v]) for part, v in numbers.items()},
            mean,
            unit,
        )


def classes(parts: Parts, names: Mapping[str, str], source: str) -> Labels:
    """Classes in the order of what the table calls them.

    >>> labels = classes({part: [("a", "0"), ("b", "1")] for part in _NAMES}, {"1": "good"}, "here")
    >>> labels.names, labels.numbers["test"]
    (('0', 'good'), [0, 1])

    Args:
        parts: texts and labels.
        names: names of labels, where the report should have others.
        source: where they come from, for messages.

    Raises:
        DataError: there are fewer than two classes, or a part lacks examples.
    """
    raw = sorted({label for rows in parts.values() for _, label in rows})
    order = {label: number for number, label in enumerate(raw)}
    numbers = {part: [order[label] for _, label in rows] for part, rows in parts.items()}
    check_parts(numbers, raw, source)
    class_names = tuple(names.get(label, label) for label in raw)
    return Labels(numbers=numbers, bands=numbers["train"], names=class_names, raw_names=tuple(raw))


def values(parts: Parts, source: str) -> Labels:
    """Labels that are numbers; `DataError` naming the first that is none, or an empty part."""
    if empty := [part for part in _NAMES if not parts[part]]:
        raise DataError(f"too few examples in {source}: no {empty[0]} examples")
    what = f"a label in {source}"
    numbers = {part: [value_in(label, what) for _, label in rows] for part, rows in parts.items()}
    train = torch.tensor(numbers["train"], dtype=torch.float64)
    edges = quantiles(train, torch.arange(1, _BANDS, dtype=torch.float64) / _BANDS)
    return Labels(numbers=numbers, bands=torch.bucketize(train, edges).tolist())


_NAMES = ("train", "validation", "test")


def quantiles(values: Tensor, shares: Tensor) -> Tensor:
    """Those of `torch.quantile`, which takes no more than 16 million values.

    >>> quantiles(torch.tensor([4.0, 1.0, 2.0]), torch.tensor([0.5]))
    tensor([2.])
    """
    ranks = shares * (len(values) - 1)
    low = ranks.floor()
    ordered = values.sort().values
    return torch.lerp(ordered[low.long()], ordered[ranks.ceil().long()], ranks - low)
