"""Predictions as a table: a row for each input or item, a column for each number."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dropsmith.prediction.kinds import WITH_CLASSES

if TYPE_CHECKING:
    from dropsmith.prediction.prediction import Prediction

ID, ITEM, PREDICTION = "id", "item", "prediction"
ENTROPY, INFORMATION = "entropy", "mutual_information"
PROBABILITY, QUANTILE = "probability", "quantile"
DEVIATION, DATA_DEVIATION, TOTAL_DEVIATION = (
    *("standard_deviation", "data_deviation", "total_deviation"),
)

Table = dict[str, list[Any]]
"""Columns by name, in order; None stands where a number is not known."""


def prediction_table(prediction: "Prediction") -> Table:
    """The table of a prediction: a row for each input, or for each item that is no padding."""
    rows = _Rows(prediction)
    table = rows.places()
    if prediction.kind in WITH_CLASSES:
        return table | _of_classes(prediction, rows)
    if prediction.kind == "multi_label":
        return table | _of_labels(prediction, rows)
    if prediction.kind == "quantile":
        return table | _of_quantiles(prediction, rows)
    return table | _of_values(prediction, rows)


class _Rows:
    """The tensors of a prediction with a row for each item that counts.

    Args:
        prediction: of inputs that have one item, or several, along the dimensions between that of
            the inputs and that of the classes.
    """

    def __init__(self, prediction: "Prediction") -> None:
        self.prediction = prediction
        mean, axis = prediction.mean, prediction.class_axis
        self.axis, self.mask = -1 if axis is None else axis, prediction.mask
        # Of values, an item may have one number or several.
        self.flat = mean.ndim == 1 or (self.mask is not None and self.mask.ndim == mean.ndim)
        self.first = prediction.item_row_axis
        items = mean if self.flat else mean.select(self.axis, 0)
        self.items = tuple(items.movedim(self.first, 0).shape)
        if self.mask is not None:
            self.mask = self.mask.movedim(self.first, 0)

    def of(self, values: Tensor) -> Tensor:
        """Numbers `[rows, columns]` of a tensor shaped as the mean."""
        last = values.unsqueeze(-1) if self.flat else values.movedim(self.axis, -1)
        last = last.movedim(self.first, 0)
        return last[self.mask] if self.mask is not None else last.flatten(0, -2)

    def numbers(self, values: Tensor | None) -> list[float | None]:
        """The numbers of a tensor with one for each item."""
        if values is None:
            return [None] * len(self.of(self.prediction.mean))
        items = values.movedim(self.first, 0)
        counted = items[self.mask] if self.mask is not None else items.flatten()
        return _known(counted.tolist())

    def places(self) -> Table:
        """The columns that say which input and which item a row is of."""
        counted = self.mask if self.mask is not None else torch.ones(self.items).bool()
        inputs, *places = counted.nonzero(as_tuple=True)
        names = self.prediction.names or [str(n) for n in range(1, self.items[0] + 1)]
        table: Table = {ID: [names[index] for index in inputs.tolist()]}
        if len(places) == 1:
            return table | {ITEM: places[0].tolist()}
        return table | {f"{ITEM}_{dim}": place.tolist() for dim, place in enumerate(places)}

    def labels(self, count: int) -> Sequence[str]:
        """The names of the classes; their numbers from 0 where there are none."""
        return self.prediction.classes or [str(number) for number in range(count)]


def _of_classes(prediction: "Prediction", rows: _Rows) -> Table:
    mean = rows.of(prediction.mean)
    labels = rows.labels(mean.shape[1])
    table: Table = {PREDICTION: [labels[index] for index in mean.argmax(-1).tolist()]}
    table |= _by_label(PROBABILITY, mean, labels)
    information = prediction.mutual_information
    return table | {
        ENTROPY: rows.numbers(prediction.entropy),
        INFORMATION: rows.numbers(information),
    }


def _of_labels(prediction: "Prediction", rows: _Rows) -> Table:
    mean = rows.of(prediction.mean)
    labels = rows.labels(mean.shape[1])
    likely = [[labels[i] for i, p in enumerate(row) if p > 0.5] for row in mean.tolist()]
    table: Table = {PREDICTION: [", ".join(names) for names in likely]}
    table |= _by_label(PROBABILITY, mean, labels)
    columns = {ENTROPY: prediction.entropy, INFORMATION: prediction.mutual_information}
    for name, numbers in columns.items():
        if numbers is not None:
            table |= _by_label(name, rows.of(numbers), labels)
    return table


def _of_values(prediction: "Prediction", rows: _Rows) -> Table:
    deviations = {DEVIATION: prediction.variance}
    if prediction.data_variance is not None and prediction.total_variance is not None:
        deviations[DATA_DEVIATION] = prediction.data_variance
        deviations[TOTAL_DEVIATION] = prediction.total_variance
    mean = rows.of(prediction.mean)
    ends = [""] if mean.shape[1] == 1 else [f"_{index}" for index in range(mean.shape[1])]
    table: Table = {}
    for index, end in enumerate(ends):
        table[f"{PREDICTION}{end}"] = mean[:, index].tolist()
        for name, variance in deviations.items():
            table[f"{name}{end}"] = _known(rows.of(variance)[:, index].sqrt().tolist())
    return table


def _of_quantiles(prediction: "Prediction", rows: _Rows) -> Table:
    mean, variance = rows.of(prediction.mean), rows.of(prediction.variance)
    levels = [f"{level:g}" for level in prediction.quantiles]
    deviations = [_known(variance[:, index].sqrt().tolist()) for index in range(len(levels))]
    named = {f"{DEVIATION}_{level}": deviations[index] for index, level in enumerate(levels)}
    return _by_label(QUANTILE, mean, levels) | named


def _by_label(name: str, rows: Tensor, labels: Sequence[str]) -> Table:
    return {f"{name}_{label}": rows[:, index].tolist() for index, label in enumerate(labels)}


def _known(numbers: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(number) else number for number in numbers]
