"""Finding where rows lie, by running: no size that happens to equal another is taken for it.

Candidates say on which axis each leaf has rows. A candidate is tried on two small batches, by
themselves and joined into one: it holds where the joined outputs are those of the two batches, and
where everything that draws noise has grown by as much as the batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor

from dropsmith.batches.arguments import Arguments
from dropsmith.batches.compare_rows import Mismatch, output_axes
from dropsmith.batches.layout import Layout, Name, copied
from dropsmith.batches.leaf_rows import Axis, rows_along
from dropsmith.batches.structure import leaves_of, map_leaves, tensors_in
from dropsmith.errors import DropsmithError, ViewError

_MOST = 24
"""Candidates that are tried, at most."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run of the model without noise.

    Args:
        output: what it returned.
        draws: how many elements each noisy call would have dropped from, in order.
    """

    output: Any
    draws: tuple[int, ...]


Run = Callable[[Arguments, int, int | None], Trial]
"""Runs the model without noise on the arguments of one or several views, of so many rows in all."""


def find_layout(arguments: Arguments, run: Run, said: Mapping[Name, Axis]) -> Layout:
    """The layout of a kind of batch.

    Args:
        arguments: of one call.
        run: runs the model without noise, and without gradients.
        said: the axes of arguments that somebody names.

    Raises:
        ViewError: no tensor of the batch has rows.
    """
    dependent: Layout | None = None
    candidates = [c for lists in (False, True) for c in _candidates(arguments, said, lists)]
    if not candidates:
        raise ViewError("found no tensor with rows in the batch\n  name them: rows={'x': 0}")
    for candidate in candidates[:_MOST]:
        layout = _tried(candidate, arguments, run)
        if layout is not None and layout.stackable:
            return layout
        dependent = dependent or layout
    unknown = "the model does not run on a batch of twice the rows"
    return dependent or replace(candidates[0], dependence=unknown, grows=False)


def _tried(candidate: Layout, arguments: Arguments, run: Run) -> Layout | None:
    """The candidate with its outputs, and with what speaks against it; None if it does not run."""
    for whole in (False, True):
        if not whole and not (candidate.divisible and _on_cpu(arguments)):
            continue
        first, second = _samples(candidate, arguments, whole)
        try:
            written = copied(first)
            before = _versions(written)
            alone = run(written, 1, None)
            candidate = replace(candidate, in_place=_versions(written) != before)
        except Exception:
            continue
        try:
            other = run(copied(second), 1, None)
        except Exception:
            second, other = first, alone
        try:
            both, refusal = _joined(candidate, first, second, run)
        except Exception:
            return None
        layout = _judged(candidate, alone, other, both)
        return replace(layout, dependence=refusal) if layout is not None and refusal else layout
    return None


def _joined(layout: Layout, first: Arguments, second: Arguments, run: Run) -> tuple[Trial, str]:
    """A run over the rows of both batches, and why they cannot be two views where noise says so."""
    rows = layout.argument_rows(first) + layout.argument_rows(second)
    try:
        return run(layout.combined([copied(first), copied(second)]), 2, rows), ""
    except DropsmithError as error:
        refusal = str(error).splitlines()[0]
        return run(layout.combined([copied(first), copied(second)]), 1, None), refusal


def _on_cpu(arguments: Arguments) -> bool:
    # Indices of rows that are not there stop a GPU for good, and raise an error on a CPU.
    return all(tensor.device.type == "cpu" for tensor in tensors_in(arguments))


def _judged(candidate: Layout, first: Trial, second: Trial, both: Trial) -> Layout | None:
    try:
        outputs, alike = output_axes(first.output, second.output, both.output)
    except Mismatch as error:
        return replace(candidate, dependence=str(error))
    layout = replace(candidate, outputs=outputs)
    if not alike:
        return replace(layout, dependence="rows of this model change what other rows return")
    pairs = zip(first.draws, second.draws, strict=False)
    grown = [a + b for a, b in pairs]
    if len(grown) != len(both.draws) or any(d < g for d, g in zip(both.draws, grown, strict=True)):
        return replace(layout, dependence="some of its noise is drawn once for the whole batch")
    return layout


def _samples(layout: Layout, arguments: Arguments, whole: bool) -> tuple[Arguments, Arguments]:
    """Two batches that differ: the leading rows, and others of which no value is the same."""
    rows = layout.argument_rows(arguments)
    if whole:
        numbers = [min(1, rows - 1), *range(1, rows)]
        other = layout.taken_arguments(arguments, numbers) if layout.divisible else arguments
        return arguments, _altered(other)
    few = min(rows, 2)
    first = layout.taken_arguments(arguments, slice(few))
    return first, _altered(layout.taken_arguments(arguments, [rows - 1] * few))


def _altered(arguments: Arguments) -> Arguments:
    def change(leaf: Any) -> Any:
        real = isinstance(leaf, Tensor) and leaf.is_floating_point() and not leaf.is_nested
        return leaf * 0.96875 if real and leaf.layout == torch.strided else leaf

    return map_leaves(change, arguments)


def _versions(arguments: Arguments) -> list[int]:
    return [tensor._version for tensor in tensors_in(arguments) if not tensor.is_inference()]


def _candidates(arguments: Arguments, said: Mapping[Name, Axis], lists: bool) -> Iterator[Layout]:
    """Layouts in the order of their likelihood."""
    args, kwargs = arguments
    columns: list[tuple[Name, Any]] = [*enumerate(args), *kwargs.items()]
    leaves = [
        (name, number, leaf)
        for name, value in columns
        for number, leaf in enumerate(leaves_of(value, lists))
    ]
    if lists and not any(isinstance(leaf, list) for _, _, leaf in leaves):
        return
    for dim, rows in _sizes([leaf for _, _, leaf in leaves], lists):
        options = [_options(leaf, dim, rows, said.get(name, ...)) for name, _, leaf in leaves]
        for axes in _by_deviation(options):
            pairs = enumerate(zip(axes, options, strict=True))
            rowwise = [i for i, (axis, option) in pairs if axis is not None and option.rows]
            if rowwise:
                yield _layout(leaves, axes, options, rowwise[0], lists)


@dataclass(frozen=True)
class _Options:
    """The axes that a leaf may have its rows on, the likeliest first.

    Args:
        axes: the possible axes.
        rows: whether its sizes agree with the rows; else its axis counts something else, such as
            the patches of packed pictures, of which each row has a number of its own.
    """

    axes: tuple[Axis, ...]
    rows: bool


def _options(leaf: Any, dim: int, rows: int, said: Any) -> _Options:
    if said is not ...:
        return _Options((said,), said is not None)
    if isinstance(leaf, list):
        return _Options((0, None), True) if len(leaf) == rows else _Options((None,), False)
    if not isinstance(leaf, Tensor) and _counts(leaf) is None:
        return _Options((None,), False)
    sizes = (rows_along(leaf, 0),) if not isinstance(leaf, Tensor) or leaf.is_nested else leaf.shape
    order = (0, 1) if dim == 0 else (1, 0)
    axes = tuple(axis for axis in order if axis < len(sizes) and sizes[axis] == rows)
    if dim == 0 and len(sizes) == 2 and axes == (1,):
        axes = ()  # [features, rows] is a table of features; states are [layers, rows, units]
    if axes:
        return _Options((*axes, None), True)
    return _Options((None, 0) if len(sizes) else (None,), False)


def _sizes(leaves: Sequence[Any], lists: bool) -> list[tuple[int, int]]:
    """Which axis may count how many rows: what many leaves have in common comes first."""
    votes: dict[tuple[int, int], int] = {}
    for dim in (0, 1):
        for leaf in leaves:
            size = _counts(leaf, dim)
            if size and (not lists or isinstance(leaf, list)):
                votes[dim, size] = votes.get((dim, size), 0) + 1
    order = sorted(votes, key=lambda one: (one[0], one[1] == 1, -votes[one]))
    return order[:6]


def _counts(leaf: Any, dim: int = 0) -> int | None:
    if isinstance(leaf, Tensor):
        return (
            leaf.shape[dim]
            if not leaf.is_nested and leaf.ndim > 2 * dim
            else (rows_along(leaf, 0) if leaf.is_nested and not dim else None)
        )
    packed = hasattr(leaf, "batch_sizes")
    return rows_along(leaf, 0) if (packed or isinstance(leaf, list)) and not dim else None


def _by_deviation(options: Sequence[_Options]) -> list[tuple[Axis, ...]]:
    """All choices of axes, those first that differ in few leaves from the likeliest."""
    open_leaves = [i for i, option in enumerate(options) if len(option.axes) > 1][:8]
    likeliest = [option.axes[0] for option in options]
    choices = []
    for picks in product(*(range(len(options[i].axes)) for i in open_leaves)):
        axes = list(likeliest)
        for i, pick in zip(open_leaves, picks, strict=True):
            axes[i] = options[i].axes[pick]
        choices.append((sum(pick > 0 for pick in picks), sum(picks), tuple(axes)))
    choices.sort(key=lambda choice: choice[:2])
    return [axes for _, _, axes in choices[:_MOST]]


def _layout(
    leaves: Sequence[tuple[Name, int, Any]],
    axes: Sequence[Axis],
    options: Sequence[_Options],
    counted: int,
    lists: bool,
) -> Layout:
    table: dict[Name, tuple[Axis, ...]] = {}
    for (name, _, _), axis in zip(leaves, axes, strict=True):
        table[name] = (*table.get(name, ()), axis)
    whole = all(a is None or o.rows for a, o in zip(axes, options, strict=True))
    name, number, _ = leaves[counted]
    return Layout(axes=table, counted=(name, number), lists=lists, divisible=whole)
