"""The axis of classes in a model's scores, found from the operation that made them.

A convolution puts its channels in dimension 1, a product its units in the last; what follows may
move them, and is looked at by size.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dropsmith.errors import NoiseError
from dropsmith.interception import decode

_CONVOLUTIONS = {
    F.conv1d,
    F.conv2d,
    F.conv3d,
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
}
_PRODUCTS = {
    F.linear,
    F.bilinear,
    F.embedding,
    torch.addmm,
    torch.baddbmm,
    torch.bmm,
    torch.matmul,
    torch.mm,
    torch.einsum,
    torch.cdist,
    Tensor.__matmul__,
    Tensor.__rmatmul__,
    Tensor.bmm,
    Tensor.matmul,
    Tensor.mm,
}


class ProductTrace(TorchFunctionMode):
    """Notes what each convolution and product of a forward returns, and its axis of units."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[tuple[Tensor, int]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        axis = 1 if func in _CONVOLUTIONS else -1 if func in _PRODUCTS else None
        if axis is None and (call := decode(func, args, kwargs)) is not None:
            axis = -1 if call.kind in ("attention", "between") else None
        first = result[0] if isinstance(result, tuple) else result
        if axis is not None and isinstance(first, Tensor) and first.ndim > 1:
            weight = args[1] if len(args) > 1 else (kwargs or {}).get("weight", first)
            has_rows = axis == -1 or first.ndim == weight.ndim  # else the first axis, without rows
            self.results.append((first, axis if has_rows else 0))
        return result


def class_axis_of(scores: Tensor, results: Sequence[tuple[Tensor, int]]) -> int:
    """The axis of classes in scores of three or more dimensions, counted from the end where last.

    Args:
        scores: of a few rows.
        results: what the convolutions and products of the same forward returned, in order, each
            with its axis of units.

    Raises:
        NoiseError: it cannot be told.
    """
    for result, axis in reversed(results):
        if result.shape == scores.shape and torch.equal(result, scores):
            return axis
    for result, axis in reversed(results):
        size = result.shape[axis]
        places = [dim for dim in range(1, scores.ndim) if scores.shape[dim] == size]
        if len(places) == 1:
            return -1 if places[0] == scores.ndim - 1 else places[0]
        if places:
            break
    raise NoiseError(
        f"cannot tell which dimension of scores of shape {tuple(scores.shape)} has the classes\n"
        "  say it: predict(..., class_axis=1) for [batch, class, ...], class_axis=-1 for the last; "
        'or kind="regression" for values, kind="multi_label" for labels that are each on or off'
    )


def check_class_axis(scores: Tensor, axis: int) -> None:
    """Raise `NoiseError` where scores have no such axis, or a single class along it."""
    if not -scores.ndim <= axis < scores.ndim:
        raise NoiseError(
            f"scores of shape {tuple(scores.shape)} have no dimension {axis}\n"
            "  class_axis is the dimension of the classes, such as 1 or -1"
        )
    if scores.shape[axis] == 1:
        raise NoiseError(
            f"scores of shape {tuple(scores.shape)} have one class, whose probability is always 1\n"
            '  type kind="regression" for a value, kind="multi_label" for yes or no'
        )
