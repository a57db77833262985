"""The items of a prediction that have a label: their probabilities beside their true classes."""

import torch
from torch import Tensor

from dropsmith.errors import ViewError
from dropsmith.instances import check_type
from dropsmith.numbers import LARGEST_SEED, check_whole

_ROUNDING = 1e-2
"""More than rounding to a half precision takes a sum of probabilities from one."""


def labelled_items(
    probabilities: Tensor, labels: Tensor, ignore: int = -100, class_axis: int | None = None
) -> tuple[Tensor, Tensor]:
    """Probabilities `[items, classes]`, in at least float32, beside true classes `[items]`.

    >>> labelled_items(torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([-100, 1]))
    (tensor([[0.2000, 0.8000]]), tensor([1]))

    Args:
        probabilities: `[..., classes]` or `[batch, classes, ...]`, such as `prediction.mean`.
        labels: the true class of each item, `[...]`; or, for `kind="multi_label"`, zeros and ones
            of the shape of `probabilities`: every label is then an item with two outcomes.
        ignore: items with this label, such as padding, do not count.
        class_axis: the dimension of the classes, such as `prediction.class_axis`; by default the
            one along which probabilities sum to 1 and that labels do not have.

    Raises:
        ViewError: labels do not fit the probabilities, or no item has a label.
    """
    for name, value in (("probabilities", probabilities), ("labels", labels)):
        check_type(name, value, Tensor, "a tensor")
    check_whole("ignore", ignore, -LARGEST_SEED, ViewError, LARGEST_SEED)
    if class_axis is not None:
        last = probabilities.ndim - 1
        check_whole("class_axis", class_axis, -last - 1, ViewError, last)
    if class_axis is None:
        class_axis = _class_axis(probabilities, labels)
    if labels.shape != probabilities.shape:
        probabilities = probabilities.movedim(class_axis, -1)
    return _items(probabilities.detach(), labels, ignore)


def _class_axis(probabilities: Tensor, labels: Tensor) -> int:
    """The dimension that labels do not have, the last where labels have none of their own."""
    shape = probabilities.shape
    fitting = [
        axis for axis in (len(shape) - 1, 1) if (*shape[:axis], *shape[axis + 1 :]) == labels.shape
    ]
    if len(set(fitting)) < 2:
        return fitting[0] if fitting else -1
    off = [float((probabilities.sum(axis) - 1).abs().max()) for axis in fitting]
    if (off[0] < _ROUNDING) != (off[1] < _ROUNDING):
        return fitting[0] if off[0] < _ROUNDING else fitting[1]
    raise ViewError(
        f"cannot tell which dimension of probabilities of shape {tuple(shape)} has the classes\n"
        "  say it: class_axis=1 or class_axis=-1"
    )


def _items(probabilities: Tensor, labels: Tensor, ignore: int) -> tuple[Tensor, Tensor]:
    """Probabilities `[items, classes]` in at least float32 beside true classes `[items]`."""
    if labels.shape == probabilities.shape:
        probabilities = torch.stack([1 - probabilities, probabilities], -1)
    if labels.shape != probabilities.shape[:-1]:
        raise ViewError(
            f"labels of shape {tuple(labels.shape)} do not fit probabilities of shape "
            f"{tuple(probabilities.shape)}\n  give one class for each item, or one 0 or 1 for each "
            "probability"
        )
    has_label = labels != ignore
    if not bool(has_label.any()):
        raise ViewError(f"no item is left to judge: every label is {ignore}, which is ignored")
    wide = torch.float64 if probabilities.dtype == torch.float64 else torch.float32
    return probabilities[has_label].to(wide), labels[has_label].long()
