"""The outputs of two batches held against those of both batches joined: where are the rows?"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from dropsmith.batches.layout import OutputAxes
from dropsmith.batches.leaf_rows import rows_along
from dropsmith.batches.packed import is_packed, packed_rows, taken_sequences
from dropsmith.batches.structure import parts_of, tensors_in

_CLOSE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""The share of the largest value that products over other numbers of rows may be rounded by."""


class Mismatch(Exception):
    """The joined output has no rows for the outputs of the two batches, in words."""


def output_axes(first: Any, second: Any, both: Any) -> tuple[OutputAxes, bool]:
    """The axes of an output, and whether the joined one holds the values of the two.

    Raises:
        Mismatch: it has another structure, or nothing in it has grown with the batch.
    """
    axes, alike = _axes(first, second, both)
    if not _grown(axes):
        raise Mismatch("what the model returns does not grow with the rows of the batch")
    return axes, alike


def has_losses(output: Any) -> bool:
    """Whether an output has numbers that may be means over rows."""
    return bool(_losses(output))


def losses_alike(output: Any, doubled: Any) -> bool:
    """Whether the numbers in an output are those of a batch that holds every row twice."""
    return all(map(close, _losses(doubled), _losses(output)))


def _losses(output: Any) -> list[Tensor]:
    return [t for t in tensors_in(output) if t.ndim == 0 and t.is_floating_point()]


def leading_axis(output: Any, axes: OutputAxes) -> tuple[int, int] | None:
    """The axis of the first leaf of an output that has rows, and its size; None where none has."""
    if isinstance(axes, int):
        return axes, rows_along(output, axes)
    parts = zip(parts_of(output) or [], axes or (), strict=False)
    leading = (leading_axis(part, axis) for part, axis in parts)
    return next((pair for pair in leading if pair is not None), None)


def close(a: Tensor, b: Tensor) -> bool:
    """Whether tensors of one shape are equal up to the rounding of products over other rows."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if not a.is_floating_point():
        return torch.equal(a, b)
    return alike_within(a, b, _CLOSE.get(a.dtype, 0.03))


def alike_within(a: Tensor, b: Tensor, share: float) -> bool:
    """Whether two tensors are equal but for a share of the largest finite value of `b`."""
    finite = b[b.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 1.0
    return torch.allclose(a, b, rtol=0, atol=share * max(scale, 1e-6), equal_nan=True)


def _grown(axes: OutputAxes) -> bool:
    return any(map(_grown, axes)) if isinstance(axes, tuple) else axes is not None


def _axes(first: Any, second: Any, both: Any) -> tuple[OutputAxes, bool]:
    if isinstance(first, Tensor):
        return _of_tensor(first, second, both)
    if is_packed(first):
        rows = packed_rows(first)
        parts = [taken_sequences(both, range(rows)), taken_sequences(both, range(rows, 2 * rows))]
        return 0, all(map(_sequences_alike, parts, (first, second)))
    few, more, joined = parts_of(first), parts_of(second), parts_of(both)
    if few is None or more is None or joined is None:
        return None, True
    if isinstance(first, list) and len(joined) == len(few) + len(more) != len(few):
        return 0, all(_equal(a, b) for a, b in zip([*few, *more], joined, strict=True))
    if not len(few) == len(more) == len(joined):
        raise Mismatch("what the model returns has another structure for twice the rows")
    axes = [_axes(a, b, c) for a, b, c in zip(few, more, joined, strict=True)]
    return tuple(axis for axis, _ in axes), all(alike for _, alike in axes)


def _sequences_alike(a: PackedSequence, b: PackedSequence) -> bool:
    # Steps lie sorted by the lengths of sequences, in which a change of their order is not seen.
    (x, lengths), (y, others) = pad_packed_sequence(a), pad_packed_sequence(b)
    return torch.equal(lengths, others) and close(x, y)


def _of_tensor(first: Tensor, second: Any, both: Any) -> tuple[OutputAxes, bool]:
    if not isinstance(second, Tensor) or not isinstance(both, Tensor):
        raise Mismatch("what the model returns has another structure for twice the rows")
    if first.is_nested:
        parts = [*first.unbind(), *second.unbind()]
        return 0, all(close(a, b) for a, b in zip(parts, both.unbind(), strict=True))
    for axis in range(first.ndim):
        rest = [size for dim, size in enumerate(first.shape) if dim != axis]
        if first.shape[axis] and both.ndim == first.ndim and second.ndim == first.ndim:
            joined = [size for dim, size in enumerate(both.shape) if dim != axis]
            other = [size for dim, size in enumerate(second.shape) if dim != axis]
            total = first.shape[axis] + second.shape[axis]
            if joined == rest == other and both.shape[axis] == total:
                parts = both.split([first.shape[axis], second.shape[axis]], axis)
                return axis, close(parts[0], first) and close(parts[1], second)
    if first.ndim == both.ndim == 0:
        return None, _between(both, first, second)
    if first.shape != both.shape:
        raise Mismatch("what the model returns grows with the rows, but not by as many")
    return None, close(both, first)


def _between(both: Tensor, first: Tensor, second: Tensor) -> bool:
    """Whether a number, such as a loss, may be a mean over rows: one of both lies between two."""
    numbers = torch.stack([first.detach(), second.detach(), both.detach()]).double()
    if not first.is_floating_point() or not numbers.isfinite().all():
        return True
    room = _CLOSE.get(first.dtype, 0.03) * max(float(numbers.abs().max()), 1e-6)
    return bool(numbers[:2].min() - room <= numbers[2] <= numbers[:2].max() + room)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and close(a, b)
    few, more = parts_of(a), parts_of(b)
    if few is None or more is None:
        return type(a) is type(b)
    return len(few) == len(more) and all(_equal(x, y) for x, y in zip(few, more, strict=True))
