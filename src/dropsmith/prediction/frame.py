"""Predictions as a table: a row for each input, a column for each number."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from dropsmith.errors import DataError
from dropsmith.terms import OutputKind

ID, PREDICTION, ENTROPY, INFORMATION = "id", "prediction", "entropy", "mutual_information"
PROBABILITY, DEVIATION = "probability", "standard_deviation"

Table = dict[str, list[Any]]
"""Columns by name, in order; None stands where a number is not known."""


def prediction_table(
    kind: OutputKind,
    mean: Tensor,
    *,
    variance: Tensor,
    entropy: Tensor | None,
    information: Tensor | None,
    names: Sequence[str],
    classes: Sequence[str],
) -> Table:
    """The table of a prediction.

    Args:
        kind: of the outputs.
        mean, variance, entropy, information: of the prediction.
        names: of the inputs; their numbers from 1 where there are none.
        classes: names of the classes or labels; their numbers from 0 where there are none.

    Raises:
        DataError: there are several predictions an input, such as one for each pixel.
    """
    rows = mean.unsqueeze(-1) if mean.ndim == 1 else mean
    if rows.ndim != 2:
        raise DataError(
            f"a table has one row for each input, and this prediction is of shape "
            f"{tuple(mean.shape)}\n  read its mean, entropy and mutual_information as tensors"
        )
    names = names or [str(number) for number in range(1, len(rows) + 1)]
    labels = classes or [str(number) for number in range(rows.shape[1])]
    table: Table = {ID: list(names)}
    if kind == "regression":
        return table | _values(rows, variance.view_as(rows))
    if kind == "multi_label":
        return table | _of_labels(rows, entropy, information, labels)
    table[PREDICTION] = [labels[index] for index in rows.argmax(-1).tolist()]
    table |= _by_label(PROBABILITY, rows, labels)
    return table | {ENTROPY: _numbers(entropy, rows), INFORMATION: _numbers(information, rows)}


def _values(rows: Tensor, variance: Tensor) -> Table:
    ends = [""] if rows.shape[1] == 1 else [f"_{index}" for index in range(rows.shape[1])]
    table: Table = {}
    for index, end in enumerate(ends):
        table[f"{PREDICTION}{end}"] = rows[:, index].tolist()
        table[f"{DEVIATION}{end}"] = _known(variance[:, index].sqrt().tolist())
    return table


def _of_labels(
    rows: Tensor, entropy: Tensor | None, information: Tensor | None, labels: Sequence[str]
) -> Table:
    likely = [[labels[i] for i, p in enumerate(row) if p > 0.5] for row in rows.tolist()]
    table: Table = {PREDICTION: [", ".join(names) for names in likely]}
    table |= _by_label(PROBABILITY, rows, labels)
    for name, numbers in ((ENTROPY, entropy), (INFORMATION, information)):
        if numbers is not None:
            table |= _by_label(name, numbers, labels)
    return table


def _by_label(name: str, rows: Tensor, labels: Sequence[str]) -> Table:
    return {f"{name}_{label}": rows[:, index].tolist() for index, label in enumerate(labels)}


def _numbers(numbers: Tensor | None, rows: Tensor) -> list[float | None]:
    return [None] * len(rows) if numbers is None else _known(numbers.tolist())


def _known(numbers: Sequence[float]) -> list[float | None]:
    return [None if math.isnan(number) else number for number in numbers]
