"""Finds the rows of outputs by comparing two batches with both batches joined."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from dropsmith.batches.layout import OutputAxes
from dropsmith.batches.leaf_rows import rows_along
from dropsmith.batches.packed import is_packed, packed_rows, take_sequences
from dropsmith.batches.structure import parts_of, tensors_in

_CLOSE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""The rounding error of products over other numbers of rows, as a share of the largest value."""


class Mismatch(Exception):
    """The joined output does not contain the rows of the two outputs; the message says why."""


def output_axes(first: Any, second: Any, joint: Any) -> tuple[OutputAxes, bool]:
    """The axes of an output, and whether the joined output has the values of the two.

    Raises:
        Mismatch: the joined output has another structure, or does not grow with the batch.
    """
    axes, alike = _axes(first, second, joint)
    if not _has_rows(axes):
        raise Mismatch("the output of the model does not grow with the rows of the batch")
    return axes, alike


def has_losses(output: Any) -> bool:
    """Say whether an output has scalars that may be means over rows."""
    return bool(_losses(output))


def losses_alike(output: Any, doubled_output: Any) -> bool:
    """Say whether the scalars of an output equal those of a batch with every row twice."""
    return all(map(close, _losses(doubled_output), _losses(output)))


def _losses(output: Any) -> list[Tensor]:
    return [t for t in tensors_in(output) if t.ndim == 0 and t.is_floating_point()]


def leading_axis(output: Any, axes: OutputAxes) -> tuple[int, int] | None:
    """The axis and the size of the first leaf with rows in an output; None without one."""
    if isinstance(axes, int):
        return axes, rows_along(output, axes)
    parts = zip(parts_of(output) or [], axes or (), strict=False)
    leading = (leading_axis(part, axis) for part, axis in parts)
    return next((pair for pair in leading if pair is not None), None)


def close(a: Tensor, b: Tensor) -> bool:
    """Say whether two tensors are equal but for the rounding of products over other rows."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if not a.is_floating_point():
        return torch.equal(a, b)
    return alike_within(a, b, _CLOSE.get(a.dtype, 0.03))


def alike_within(a: Tensor, b: Tensor, share: float) -> bool:
    """Say whether two tensors differ by at most a share of the largest finite value of `b`."""
    finite = b[b.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 1.0
    return torch.allclose(a, b, rtol=0, atol=share * max(scale, 1e-6), equal_nan=True)


def _has_rows(axes: OutputAxes) -> bool:
    return any(map(_has_rows, axes)) if isinstance(axes, tuple) else axes is not None


def _axes(first: Any, second: Any, joint: Any) -> tuple[OutputAxes, bool]:
    if isinstance(first, Tensor):
        return _of_tensor(first, second, joint)
    if is_packed(first):
        rows = packed_rows(first)
        parts = [take_sequences(joint, range(rows)), take_sequences(joint, range(rows, 2 * rows))]
        return 0, all(map(_sequences_alike, parts, (first, second)))
    head, tail, parts = parts_of(first), parts_of(second), parts_of(joint)
    if head is None or tail is None or parts is None:
        return None, True
    if isinstance(first, list) and len(parts) == len(head) + len(tail) != len(head):
        return 0, all(_equal(a, b) for a, b in zip([*head, *tail], parts, strict=True))
    if not len(head) == len(tail) == len(parts):
        raise Mismatch("the output of the model has another structure for twice the rows")
    axes = [_axes(a, b, c) for a, b, c in zip(head, tail, parts, strict=True)]
    return tuple(axis for axis, _ in axes), all(alike for _, alike in axes)


def _sequences_alike(a: PackedSequence, b: PackedSequence) -> bool:
    # Packed steps are sorted by length, so a change of the order of sequences does not show.
    (x, lengths), (y, others) = pad_packed_sequence(a), pad_packed_sequence(b)
    return torch.equal(lengths, others) and close(x, y)


def _of_tensor(first: Tensor, second: Any, joint: Any) -> tuple[OutputAxes, bool]:
    if not isinstance(second, Tensor) or not isinstance(joint, Tensor):
        raise Mismatch("the output of the model has another structure for twice the rows")
    if first.is_nested:
        parts = [*first.unbind(), *second.unbind()]
        return 0, all(close(a, b) for a, b in zip(parts, joint.unbind(), strict=True))
    for axis in range(first.ndim):
        first_rest = [size for dim, size in enumerate(first.shape) if dim != axis]
        if first.shape[axis] and joint.ndim == first.ndim and second.ndim == first.ndim:
            joint_rest = [size for dim, size in enumerate(joint.shape) if dim != axis]
            second_rest = [size for dim, size in enumerate(second.shape) if dim != axis]
            total = first.shape[axis] + second.shape[axis]
            if joint_rest == first_rest == second_rest and joint.shape[axis] == total:
                parts = joint.split([first.shape[axis], second.shape[axis]], axis)
                return axis, close(parts[0], first) and close(parts[1], second)
    if first.ndim == joint.ndim == 0:
        return None, _between(joint, first, second)
    if first.shape != joint.shape:
        raise Mismatch("the output of the model grows with the rows, but not in proportion")
    return None, close(joint, first)


def _between(joint: Tensor, first: Tensor, second: Tensor) -> bool:
    """Say whether a scalar may be a mean over rows: the joined one lies between the two."""
    numbers = torch.stack([first.detach(), second.detach(), joint.detach()]).double()
    if not first.is_floating_point() or not numbers.isfinite().all():
        return True
    room = _CLOSE.get(first.dtype, 0.03) * max(float(numbers.abs().max()), 1e-6)
    return bool(numbers[:2].min() - room <= numbers[2] <= numbers[:2].max() + room)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and close(a, b)
    x, y = parts_of(a), parts_of(b)
    if x is None or y is None:
        return type(a) is type(b)
    return len(x) == len(y) and all(map(_equal, x, y))
