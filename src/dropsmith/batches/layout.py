"""The layout of a kind of batch: the axis of rows in each leaf of inputs and outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from dropsmith.batches.arguments import Arguments
from dropsmith.batches.copies import copy_tensors
from dropsmith.batches.leaf_rows import Axis, join_rows, repeat_rows, rows_along, split, take_rows
from dropsmith.batches.packed import is_packed
from dropsmith.batches.structure import leaves_of, map_leaves, parts_of, rebuilt
from dropsmith.errors import ViewError, excerpt

Name = int | str
"""The position or the name of an argument."""
OutputAxes = Axis | tuple["OutputAxes", ...]
"""The axes of an output: the axis of a leaf, or the axes of a container's parts.

A list with an axis has one entry for each row.
"""
Column = Callable[[Name, Any], Any]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The axes of rows in a kind of batch, found by running the model.

    Args:
        axes: the axes of the leaves of each argument, in order, by position or name.
        row_source: the argument, and the number of its leaf, by which rows are counted; None for a
            batch that is an object with unknown rows.
        lists: whether a list in an argument has one entry for each row, and is a leaf.
        divisible: whether some rows can be taken without the others. Leaves such as packed pictures
            have different numbers of entries for each row, and can only be used whole.
        outputs: the axes of the output.
        grows: whether the model was run on more rows.
        dependence: why views of the batch cannot share one forward; empty if they can.
        in_place: whether the model changes its inputs.
    """

    axes: Mapping[Name, tuple[Axis, ...]]
    row_source: tuple[Name, int] | None
    lists: bool = False
    divisible: bool = True
    outputs: OutputAxes = None
    grows: bool = True
    dependence: str = ""
    in_place: bool = False

    @property
    def stackable(self) -> bool:
        """True if views may share one forward: each row's output depends on that row alone."""
        return not self.dependence

    def rows(self, batch: Any) -> int:
        """The number of rows of a batch of this kind; 1 if they are unknown."""
        if self.row_source is None:
            return 1
        name, number = self.row_source
        column = next((value for key, value in columns_of(batch) if key == name), None)
        if column is None:
            raise ViewError(
                f"the batch has no argument {excerpt(name)}, by whose rows the batch is counted"
            )
        return self._rows_in(column, number)

    def argument_rows(self, arguments: Arguments) -> int:
        """The number of rows in the arguments of a call; 1 if they are unknown."""
        if self.row_source is None:
            return 1
        name, number = self.row_source
        args, kwargs = arguments
        return self._rows_in(args[name] if isinstance(name, int) else kwargs[name], number)

    def stacked(self, arguments: Arguments, sizes: Sequence[int]) -> Arguments:
        """The arguments of a stacked pass: the leading rows of each view, view after view."""
        rows = self.argument_rows(arguments)
        if all(size == rows for size in sizes):
            return self.combine([arguments] * len(sizes))
        return self.combine([self.leading_arguments(arguments, size) for size in sizes])

    def repeated(self, arguments: Arguments, count: int) -> Arguments:
        """The rows of the arguments of a call so many times after one another."""

        def repeat(name: Name, value: Any) -> Any:
            axes = iter(self.axes.get(name, ()))
            return map_leaves(lambda leaf: repeat_rows(leaf, next(axes), count), value, self.lists)

        args, kwargs = arguments
        return Arguments(
            tuple(repeat(i, value) for i, value in enumerate(args)),
            {name: repeat(name, value) for name, value in kwargs.items()},
        )

    def combine(self, calls: Sequence[Arguments]) -> Arguments:
        """The rows of the arguments of several calls of this kind, joined."""
        args, kwargs = calls[0]
        return Arguments(
            tuple(self._join(i, [call[0][i] for call in calls]) for i in range(len(args))),
            {name: self._join(name, [call[1][name] for call in calls]) for name in kwargs},
        )

    def leading_arguments(self, arguments: Arguments, rows: int) -> Arguments:
        """The leading rows of the arguments of a call."""
        if rows == self.argument_rows(arguments):
            return arguments
        return self.take_arguments(arguments, slice(rows))

    def take_arguments(self, arguments: Arguments, rows: Sequence[int] | slice) -> Arguments:
        """Some rows of the arguments of a call, by indices or a slice."""
        self.check_divisible()
        args, kwargs = arguments
        return Arguments(
            tuple(self._take(i, value, rows) for i, value in enumerate(args)),
            {name: self._take(name, value, rows) for name, value in kwargs.items()},
        )

    def with_rows_changed(self, arguments: Arguments, change: Callable[[Any], Any]) -> Arguments:
        """The arguments of a call, with `change` applied to every leaf with rows."""

        def change_leaves(name: Name, value: Any) -> Any:
            axes = iter(self.axes.get(name, ()))
            return map_leaves(
                lambda leaf: leaf if next(axes) is None else map_leaves(change, leaf),
                value,
                self.lists,
            )

        args, kwargs = arguments
        return Arguments(
            tuple(change_leaves(i, value) for i, value in enumerate(args)),
            {name: change_leaves(name, value) for name, value in kwargs.items()},
        )

    def leading(self, batch: Any, rows: int) -> Any:
        """The leading rows of a batch, including columns such as labels that are no arguments."""
        total = self.rows(batch)
        if rows == total:
            return batch
        self.check_divisible()

        def shorten(name: Name, value: Any) -> Any:
            if name in self.axes:
                return self._take(name, value, slice(rows))
            return map_leaves(lambda leaf: _leading(leaf, total, rows), value, lists=True)

        return with_columns(batch, shorten)

    def with_names(self, names: Sequence[str]) -> "Layout":
        """The layout with the names of positional arguments beside their positions."""
        if not names or self.row_source is None:
            return self
        axes = {names[i]: axes for i, axes in self.axes.items() if isinstance(i, int)}
        name, number = self.row_source
        row_source = names[name] if isinstance(name, int) else name
        return replace(self, axes={**self.axes, **axes}, row_source=(row_source, number))

    def fresh(self, arguments: Arguments) -> Arguments:
        """The arguments, as copies if the model would change them."""
        return copy_tensors(arguments) if self.in_place else arguments

    def cut(self, output: Any, sizes: Sequence[int], shared: int | None = None) -> list[Any]:
        """The output of a stacked pass, cut into views; a leaf without rows is in every view.

        Args:
            output: of one pass over all views.
            sizes: the number of rows of each view.
            shared: the number of rows of leaves that all views share, because they come from a
                shared trunk; None without a trunk.

        Raises:
            ViewError: the output has another structure than that of the layout.
        """
        try:
            if isinstance(output, Tensor) and isinstance(self.outputs, int) and shared is None:
                return split(output, self.outputs, sizes)
            return _cut(output, self.outputs, sizes, shared)
        except (ValueError, TypeError) as error:
            raise ViewError(
                "the rows of each view cannot be found in the output of a stacked batch\n"
                f'  {error}\n  use mode="looped"'
            ) from error

    def check_divisible(self) -> None:
        """Raise `ViewError` if rows cannot be taken without the others."""
        if not self.divisible:
            raise ViewError(
                "rows of this batch cannot be taken one by one: an input has another number of "
                "entries for each row\n  use the whole batch: batch_fraction=1"
            )

    def _rows_in(self, column: Any, number: int) -> int:
        assert self.row_source is not None
        axis = self.axes[self.row_source[0]][number]
        if isinstance(column, Tensor) and axis is not None:
            return column.size(axis)
        return rows_along(list(leaves_of(column, self.lists))[number], axis or 0)

    def _join(self, name: Name, values: Sequence[Any]) -> Any:
        axes = self.axes.get(name, ())
        if isinstance(values[0], Tensor) and len(axes) == 1:
            return join_rows(values, axes[0])
        columns = zip(*(leaves_of(value, self.lists) for value in values), strict=True)
        leaves = iter([join_rows(c, axis) for c, axis in zip(columns, axes, strict=True)])
        return map_leaves(lambda leaf: next(leaves), values[0], self.lists)

    def _take(self, name: Name, value: Any, rows: Sequence[int] | slice) -> Any:
        axes = iter(self.axes.get(name, ()))
        return map_leaves(lambda leaf: take_rows(leaf, next(axes), rows), value, self.lists)


def columns_of(batch: Any) -> list[tuple[Name, Any]]:
    """The columns of a batch by their names, or by their positions."""
    if isinstance(batch, Mapping):
        return list(batch.items())
    if isinstance(batch, tuple | list) and not is_packed(batch):
        return list(enumerate(batch))
    return [(0, batch)]


def with_columns(batch: Any, change: Column) -> Any:
    """A batch of the same form, with `change` applied to its columns."""
    values = [change(name, value) for name, value in columns_of(batch)]
    if isinstance(batch, Mapping | tuple | list) and not is_packed(batch):
        return rebuilt(batch, values)
    return values[0]


def _leading(leaf: Any, total: int, rows: int) -> Any:
    """The leading rows of a column that is no argument, if its size equals the rows."""
    if isinstance(leaf, list):
        return leaf[:rows] if len(leaf) == total else leaf
    rowwise = isinstance(leaf, Tensor) and leaf.ndim and leaf.shape[0] == total
    return leaf[:rows] if rowwise else leaf


def _cut(output: Any, axes: OutputAxes, sizes: Sequence[int], shared: int | None) -> list[Any]:
    if not isinstance(axes, tuple):
        below = shared is not None and isinstance(axes, int) and _is_shared(output, axes, shared)
        return split(output, None if below else axes, sizes)
    parts = parts_of(output)
    if parts is None or len(parts) != len(axes):
        raise ValueError(f"it is a {type(output).__name__}, which it was not when it was tried")
    views = zip(*(_cut(p, a, sizes, shared) for p, a in zip(parts, axes, strict=True)), strict=True)
    return [rebuilt(output, list(view)) for view in views] or [output] * len(sizes)


def _is_shared(leaf: Any, axis: int, shared: int) -> bool:
    return isinstance(leaf, Tensor) and leaf.shape[axis] == shared
