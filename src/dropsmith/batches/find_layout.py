"""The search for the rows of a batch by running the model, not by comparing sizes.

Candidates say on which axis each leaf has rows. A candidate is tried on two small batches,
separately and joined. It is right if the joined outputs consist of the outputs of the two batches,
and if everything that draws noise grows in proportion to the batch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import torch
from torch import Tensor

from dropsmith.batches.arguments import Arguments
from dropsmith.batches.compare_rows import (
    Mismatch,
    has_losses,
    leading_axis,
    losses_alike,
    output_axes,
)
from dropsmith.batches.copies import copy_tensors
from dropsmith.batches.layout import Layout, Name
from dropsmith.batches.leaf_rows import Axis, rows_along
from dropsmith.batches.packed import is_packed
from dropsmith.batches.structure import is_object, leaves_of, tensors_in
from dropsmith.errors import DropsmithError, ViewError, excerpt

_LIKELY_CANDIDATES, _MAX_CANDIDATES = 8, 24
"""The numbers of candidates that are tried before less likely kinds, and at most."""

_DEPENDENT = "the rows of this model influence each other's outputs"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run of the model without noise.

    Args:
        output: of the model.
        draws: the number of elements of each noisy call, in order.
    """

    output: Any
    draws: tuple[int, ...]


Run = Callable[[Arguments, int, int | None], Trial]
"""Runs the model without noise on the arguments of one or more views, with the rows of all."""


def find_layout(arguments: Arguments, run: Run, named_axes: Mapping[Name, Axis]) -> Layout:
    """The layout of a kind of batch.

    Args:
        arguments: of one call.
        run: runs the model without noise and gradients.
        named_axes: the axes that the caller states.

    Raises:
        ViewError: no tensor of the batch has rows.
    """
    candidates = list(_in_turn(arguments, named_axes))
    if not candidates:
        return _of_objects(arguments)
    odd: Layout | None = None
    dependent: Layout | None = None
    for candidate in candidates:
        layout, plain = _try_candidate(candidate, arguments, run)
        if layout is not None and layout.stackable:
            if plain:
                return layout
            odd = odd or layout
        elif dependent is None or (layout is not None and layout.lists and not dependent.lists):
            dependent = layout
    dependence = "the model does not run on a batch of twice the rows"
    return odd or dependent or replace(candidates[0], dependence=dependence, grows=False)


def _of_objects(arguments: Arguments) -> Layout:
    """The layout of a batch that is an object with unknown rows, such as a graph."""
    args, kwargs = arguments
    columns: list[tuple[Name, Any]] = [*enumerate(args), *kwargs.items()]
    objects = [leaf for _, value in columns for leaf in leaves_of(value) if is_object(leaf)]
    if not objects:
        raise ViewError(
            "no tensor of the batch was found to have rows\n  name the axis of rows: rows={'x': 0}"
        )
    return Layout(
        axes={name: tuple(None for _ in leaves_of(value)) for name, value in columns},
        row_source=None,
        divisible=False,
        grows=False,
        dependence=f"the rows of a {type(objects[0]).__name__} are unknown",
        in_place=True,
    )


def _in_turn(arguments: Arguments, named_axes: Mapping[Name, Axis]) -> Iterator[Layout]:
    """The likeliest candidates, then those with lists of rows, then less likely ones."""
    leaves = _candidates(arguments, named_axes, False)
    yield from islice(leaves, _LIKELY_CANDIDATES)
    yield from islice(_candidates(arguments, named_axes, True), _LIKELY_CANDIDATES)
    yield from islice(leaves, _MAX_CANDIDATES - _LIKELY_CANDIDATES)


def _try_candidate(candidate: Layout, arguments: Arguments, run: Run) -> tuple[Layout | None, bool]:
    """The candidate with its outputs and any dependence of rows; None if the model does not run.

    Returns also whether the outputs have rows on an axis of the inputs.
    """
    for full_batch in (False, True):
        if not full_batch and not (candidate.divisible and _on_cpu(arguments)):
            continue
        first, *others = _samples(candidate, arguments, full_batch)
        try:
            inputs = copy_tensors(first)
            before = _versions(inputs)
            alone = run(inputs, 1, None)
            candidate = replace(candidate, in_place=_find_writes(before, _versions(inputs)))
        except Exception:
            continue
        second, other = first, alone
        for sample in others:
            try:
                second, other = sample, run(copy_tensors(sample), 1, None)
                break
            except Exception:
                continue
        try:
            joint, refusal = _run_joint(candidate, first, second, run)
            layout = _judge(candidate, alone, other, joint)
            if layout.stackable and has_losses(alone.output):
                twice, _ = _run_joint(candidate, first, first, run)
                if not losses_alike(alone.output, twice.output):
                    layout = replace(layout, dependence=_DEPENDENT)
        except Exception:
            return None, False
        layout = replace(layout, dependence=refusal) if refusal else layout
        return layout, _plain(layout, alone.output, candidate.argument_rows(first))
    return None, False


def _run_joint(layout: Layout, first: Arguments, second: Arguments, run: Run) -> tuple[Trial, str]:
    """Run over the rows of both batches; return also why they cannot be two views, or nothing."""
    rows = layout.argument_rows(first) + layout.argument_rows(second)
    try:
        return run(layout.combine([copy_tensors(first), copy_tensors(second)]), 2, rows), ""
    except DropsmithError as error:
        refusal = str(error).splitlines()[0]
        return run(layout.combine([copy_tensors(first), copy_tensors(second)]), 1, None), refusal


def _on_cpu(arguments: Arguments) -> bool:
    # An index of a missing row raises an error on a CPU, but breaks the whole process on a GPU.
    return all(tensor.device.type == "cpu" for tensor in tensors_in(arguments))


def _judge(candidate: Layout, first: Trial, second: Trial, joint: Trial) -> Layout:
    try:
        outputs, alike = output_axes(first.output, second.output, joint.output)
    except Mismatch as error:
        return replace(candidate, dependence=str(error))
    layout = replace(candidate, outputs=outputs)
    if not alike:
        return replace(layout, dependence=_DEPENDENT)
    draw_pairs = zip(first.draws, second.draws, strict=False)
    view_draws = [a + b for a, b in draw_pairs]
    draws = zip(joint.draws, view_draws, strict=False)
    if len(view_draws) != len(joint.draws) or any(total < views for total, views in draws):
        return replace(
            layout, dependence="some noise of the model is drawn once for the whole batch"
        )
    return layout


def _plain(layout: Layout, output: Any, rows: int) -> bool:
    """Say whether the leading output has rows on an axis of the inputs, or a multiple of them.

    In a product of rows and a table of classes, both inputs make the output grow, each on one axis.
    """
    leading = leading_axis(output, layout.outputs)
    if leading is None:
        return False
    axis, size = leading
    return size % rows == 0 and any(axis in axes for axes in layout.axes.values())


def _samples(layout: Layout, arguments: Arguments, full_batch: bool) -> list[Arguments]:
    """Two batches that differ: the leading rows, and rows that differ in every value."""
    rows = layout.argument_rows(arguments)
    if full_batch:
        numbers = [min(1, rows - 1), *range(1, rows)]
        first = arguments
        other = layout.take_arguments(arguments, numbers) if layout.divisible else arguments
    else:
        sample_size = min(rows, 2)
        first = layout.take_arguments(arguments, slice(sample_size))
        other = layout.take_arguments(arguments, [rows - 1] * sample_size)
    other = layout.with_rows_changed(other, _scale)
    if _on_cpu(arguments) and _equal(first, other):
        return [first, layout.with_rows_changed(other, _repeat_first_word), other]
    return [first, other]


def _scale(leaf: Any) -> Any:
    real = isinstance(leaf, Tensor) and leaf.is_floating_point() and not leaf.is_nested
    return leaf * 0.96875 if real and leaf.layout == torch.strided else leaf


def _repeat_first_word(leaf: Any) -> Any:
    """A text that repeats its first word, if nothing else makes two batches differ."""
    return leaf[:, :1].expand_as(leaf) if isinstance(leaf, Tensor) and leaf.ndim == 2 else leaf


def _equal(first: Arguments, second: Arguments) -> bool:
    pairs = zip(tensors_in(first), tensors_in(second), strict=True)
    return all(_same(a, b) for a, b in pairs)


def _same(a: Tensor, b: Tensor) -> bool:
    plain = not a.is_nested and a.layout == b.layout == torch.strided
    return plain and torch.equal(a, b)


def _versions(arguments: Arguments) -> list[tuple[Tensor, int]]:
    return [(t, 0 if t.is_inference() else t._version) for t in tensors_in(arguments)]


def _find_writes(before: list[tuple[Tensor, int]], after: list[tuple[Tensor, int]]) -> bool:
    """Say whether tensors were changed in place, or replaced as in a cache."""
    if len(before) != len(after):
        return True
    pairs = zip(before, after, strict=True)
    return any(a is not b or old != new for (a, old), (b, new) in pairs)


def _candidates(
    arguments: Arguments, named_axes: Mapping[Name, Axis], lists: bool
) -> Iterator[Layout]:
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
    row_axes = [_named_axis(name, leaf, named_axes) for name, _, leaf in leaves]
    for dim, rows in _sizes([leaf for _, _, leaf in leaves], row_axes, lists):
        options = [
            _options(leaf, dim, rows, axis)
            for (_, _, leaf), axis in zip(leaves, row_axes, strict=True)
        ]
        for axes in _by_deviation(leaves, options):
            pairs = enumerate(zip(axes, options, strict=True))
            rowwise = [i for i, (axis, option) in pairs if axis is not None and option.rows]
            if rowwise:
                yield _layout(leaves, axes, options, rowwise[0], lists)


@dataclass(frozen=True)
class _Options:
    """The possible axes of the rows of a leaf, the likeliest first.

    Args:
        axes: the possible axes.
        rows: whether its sizes equal the rows; else its axis counts something else, such as the
            patches of packed pictures, whose number differs between rows.
    """

    axes: tuple[Axis, ...]
    rows: bool


def _named_axis(name: Name, leaf: Any, named_axes: Mapping[Name, Axis]) -> Any:
    """The axis of a leaf that the caller states; `...` if it is not stated."""
    if name not in named_axes:
        return ...
    axis, dims = named_axes[name], _dims(leaf)
    if axis is None or dims is None:
        return None
    if not -dims <= axis < dims:
        raise ViewError(
            f"rows says that argument {excerpt(name)} has its rows on axis {axis}, but it holds a "
            f"{type(leaf).__name__} of {dims} axes\n  give None for an argument without rows"
        )
    return axis % dims


def _options(leaf: Any, dim: int, rows: int, row_axis: Any) -> _Options:
    if row_axis is not ...:
        return _Options((row_axis,), row_axis is not None and rows_along(leaf, row_axis) == rows)
    if isinstance(leaf, list):
        return _Options((0, None), True) if len(leaf) == rows else _Options((None,), False)
    dims = _dims(leaf)
    if not dims:
        return _Options((None,), False)
    order = (0, 1) if dim == 0 else (1, 0)
    axes = tuple(axis for axis in order if axis < dims and rows_along(leaf, axis) == rows)
    if dim == 0 and dims == 2 and axes == (1,):
        axes = ()  # [features, rows] is a table of features; states are [layers, rows, units]
    return _Options((*axes, None), True) if axes else _Options((None, 0), False)


def _sizes(leaves: Sequence[Any], row_axes: Sequence[Any], lists: bool) -> list[tuple[int, int]]:
    """Pairs of an axis and a number of rows; those that many leaves share come first."""
    votes: dict[tuple[int, int], int] = {}
    words: dict[tuple[int, int], int] = {}
    for dim, (leaf, axis) in product((0, 1), zip(leaves, row_axes, strict=True)):
        dims = _dims(leaf)
        if axis is not ... or not dims or dim >= dims or (lists and type(leaf) is not list):
            continue
        # Token ids with time first are [time, rows]; other tensors of two axes have units second.
        units = dim == 1 and dims == 2
        real = isinstance(leaf, Tensor) and leaf.is_floating_point()
        if rows_along(leaf, dim) and not (units and real):
            kind = words if units else votes
            kind[dim, rows_along(leaf, dim)] = kind.get((dim, rows_along(leaf, dim)), 0) + 1
    pairs = zip(leaves, row_axes, strict=True)
    first = [(axis, rows_along(leaf, axis)) for leaf, axis in pairs if isinstance(axis, int)]
    first += [(0, rows_along(leaf, 0)) for leaf in leaves if is_packed(leaf)]
    order = sorted(votes, key=lambda vote: (vote[0], vote[1] == 1, -votes[vote]))
    return list(dict.fromkeys([*first, *order[:6], *list(words)[:2]]))


def _dims(leaf: Any) -> int | None:
    """The number of axes of a leaf that may be rows."""
    if isinstance(leaf, list) or is_packed(leaf):
        return 1
    if not isinstance(leaf, Tensor):
        return None
    return 1 if leaf.is_nested else leaf.ndim


def _by_deviation(
    leaves: Sequence[tuple[Name, int, Any]], options: Sequence[_Options]
) -> list[tuple[Axis, ...]]:
    """All choices of axes, those that differ from the likeliest in few leaves first.

    Similar leaves of one argument, such as the keys and values of a cache, have the same axis.
    """
    groups: dict[Any, list[int]] = {}
    for i, ((name, number, leaf), option) in enumerate(zip(leaves, options, strict=True)):
        if len(option.axes) > 1:
            plain = isinstance(leaf, Tensor) and not leaf.is_nested
            alike = (leaf.ndim, leaf.shape[:2], option.axes) if plain else number
            groups.setdefault((name, alike), []).append(i)
    free = list(groups.values())[:8]
    choices = []
    for picks in product(*(range(len(options[group[0]].axes)) for group in free)):
        axes = [option.axes[0] for option in options]
        for i, pick in [(i, pick) for group, pick in zip(free, picks, strict=True) for i in group]:
            axes[i] = options[i].axes[pick]
        choices.append((sum(pick > 0 for pick in picks), sum(picks), tuple(axes)))
    choices.sort(key=lambda choice: choice[:2])
    return [axes for _, _, axes in choices[:_MAX_CANDIDATES]]


def _layout(
    leaves: Sequence[tuple[Name, int, Any]],
    axes: Sequence[Axis],
    options: Sequence[_Options],
    leaf_number: int,
    lists: bool,
) -> Layout:
    table: dict[Name, tuple[Axis, ...]] = {}
    for (name, _, _), axis in zip(leaves, axes, strict=True):
        table[name] = (*table.get(name, ()), axis)
    divisible = all(a is None or o.rows for a, o in zip(axes, options, strict=True))
    name, number, _ = leaves[leaf_number]
    return Layout(axes=table, row_source=(name, number), lists=lists, divisible=divisible)
