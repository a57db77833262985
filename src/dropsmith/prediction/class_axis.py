"""The dimension of classes in scores: by the model's class, by their product, by the labels.

None of them is taken where another contradicts it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from dropsmith.errors import NoiseError
from dropsmith.prediction.heads import Head
from dropsmith.prediction.kinds import WITH_CLASSES
from dropsmith.prediction.product_trace import plain_axis

_SAY = (
    "  say it: predict(..., class_axis=1) for [batch, class, ...], class_axis=-1 for the last; "
    'or kind="regression" for values, kind="multi_label" for labels that are each on or off'
)


def find_class_axis(
    shape: tuple[int, ...],
    head: Head,
    batch: Any,
    *,
    stated: int | None,
    traced: Callable[[], list[int]],
) -> int:
    """The dimension of scores that has the classes, or the quantiles.

    Args:
        shape: of the scores of a batch.
        head: the output.
        batch: as it was given, which may have `labels`.
        stated: the dimension that the model states, or None.
        traced: finds the dimensions that may hold the units of the product that made the scores.

    Raises:
        NoiseError: it cannot be known, two ways to know it contradict each other, or there is no
            such dimension.
    """
    if head.kind == "quantile":
        return _quantile_axis(shape, head)
    if head.class_axis is not None:
        return checked_class_axis(shape, head.class_axis, head)
    if len(shape) < 2:
        raise NoiseError(
            f"scores of shape {shape} are one number for each input, and no distribution over "
            'classes\n  type kind="regression" for a value, kind="multi_label" for yes or no'
        )
    labels = labels_in(batch)
    if labels is not None and labels.shape == shape and not labels.is_floating_point():
        raise NoiseError(
            f"labels have the shape of the scores, {shape}, so each score has a label of its own\n"
            '  type kind="multi_label", or kind="classification" and class_axis=... for classes'
        )
    by_labels = axes_by_labels(shape, labels)
    source = (
        "the class of the model puts" if stated is not None else "the operations of the model put"
    )
    axes = [stated] if stated is not None else [-1] if len(shape) == 2 else traced()
    readings = [f"{source} them in {_listed(axes, ' or ')}"] if axes else []
    if labels is not None and by_labels:
        readings.append(f"labels of shape {tuple(labels.shape)} fit {_listed(by_labels, ' or ')}")
        axes = [axis for axis in by_labels if axis in axes or not axes]
    if len(axes) != 1:
        raise NoiseError(
            f"cannot tell which dimension of scores of shape {shape} has the classes"
            f"{': ' * bool(readings)}{', and '.join(readings)}\n{_SAY}"
        )
    return checked_class_axis(shape, axes[0], head)


def labels_in(batch: Any) -> Tensor | None:
    """The labels of a batch that is given by name, or None."""
    labels = batch.get("labels") if isinstance(batch, Mapping) else None
    return labels if isinstance(labels, Tensor) else None


def axes_by_labels(shape: tuple[int, ...], labels: Tensor | None) -> list[int]:
    """The dimensions of scores over which labels number the classes.

    >>> import torch
    >>> axes_by_labels((2, 3, 7), torch.tensor([[0, 2, 1, -100, 0, 0, 1]] * 2))
    [1]
    """
    if labels is None or labels.is_floating_point() or not labels.numel():
        return []
    largest = int(labels.max())
    return [
        plain_axis(axis, len(shape))
        for axis in range(1, len(shape))
        if (*shape[:axis], *shape[axis + 1 :]) == labels.shape and largest < shape[axis]
    ]


def checked_class_axis(shape: tuple[int, ...], axis: int, head: Head) -> int:
    """An axis; `NoiseError` where scores have no such one, or a single class along it."""
    if not -len(shape) <= axis < len(shape):
        raise NoiseError(
            f"scores of shape {shape} have no dimension {axis}\n"
            "  class_axis is the dimension of the classes, such as 1 or -1"
        )
    if shape[axis] == 1 and head.kind == "classification":
        raise NoiseError(
            f"scores of shape {shape} have one class, whose probability is always 1\n"
            '  type kind="regression" for a value, kind="multi_label" for yes or no'
        )
    return axis


def _quantile_axis(shape: tuple[int, ...], head: Head) -> int:
    count = len(head.quantiles)
    axes = [plain_axis(a, len(shape)) for a in range(1, len(shape)) if shape[a] == count]
    if head.class_axis is not None:
        axes = [a for a in axes if -len(shape) <= head.class_axis < len(shape)]
        axes = [a for a in axes if a == plain_axis(head.class_axis, len(shape))]
    if len(axes) == 1:
        return axes[0]
    found = f"the dimensions {_listed(axes)} have" if axes else "no dimension has"
    raise NoiseError(
        f"outputs of shape {shape} have {count} quantiles along one dimension: {found} this size\n"
        "  say which: predict(..., class_axis=-1), or give as many quantiles as the model predicts"
    )


def has_axis(head: Head) -> bool:
    """Say whether an output has a dimension of classes or of quantiles."""
    return head.kind in WITH_CLASSES or head.kind == "quantile"


def _listed(axes: list[int], last: str = " and ") -> str:
    words = ["the last dimension" if axis == -1 else f"dimension {axis}" for axis in axes]
    return last.join(words)
