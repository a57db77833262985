"""The runner of passes: it gives the root's forward its arguments, and makes views of its output.

`views` calls the model in between; a consistent model's own forward runs in between. Where the
views are made one after the other, the root's forward is view 0, and the runner makes the others.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from itertools import chain
from math import ceil
from threading import get_ident
from typing import Any

from torch import nn

from dropsmith.activations import Layer, Reader, never
from dropsmith.batches import Arguments, Layout, copy_tensors
from dropsmith.errors import ViewError
from dropsmith.noise import ForwardPass, Noise, forget_layouts, layout_of
from dropsmith.passes.block_views import cut_layers, reading_blocks
from dropsmith.passes.model_state import ModelState
from dropsmith.passes.noise_free import Modes, noise_disabled
from dropsmith.passes.request import ViewRequest
from dropsmith.passes.strategy import forked_layout, stacked_layout
from dropsmith.passes.trunk import Trunk
from dropsmith.passes.trunk_inputs import decoder_inputs, labels_of_all_views
from dropsmith.passes.view_values import Views

Layers = tuple[tuple[Layer, ...], ...]


class ViewRun(ABC):
    """The passes over one batch.

    Args:
        model: the root.
        request: which views.
        arguments: of the root's forward, for one view.
        batch: the same as the caller gave it, with columns that the model does not take.
        noise: the model's, or one that nothing draws from.
        names: of the arguments that are given by position, where the batch is by name.
    """

    def __init__(
        self,
        model: nn.Module,
        request: ViewRequest,
        arguments: Arguments,
        batch: Any,
        noise: Noise,
        names: tuple[str, ...] = (),
    ) -> None:
        self.model, self.request, self.arguments = model, request, arguments
        self.batch, self.noise, self.names = batch, noise, names
        self.reader: Reader | None = None
        self.step: int | None = None
        self.below: Callable[[], bool] = never
        self._before = noise.current, noise.pass_is_set

    together = False
    """Whether the root's own forward makes all views."""
    trunk: str | None = None
    sizes: list[int] | None = None
    """The number of rows of each view that the root's own forward makes; None where unknown."""

    def begin(self, reader: Reader | None = None) -> Arguments:
        """Start the root's pass and return the arguments of its forward."""
        self.reader = reader
        self.noise.pass_is_set, self.noise.thread = True, get_ident()
        if reader is not None:
            reader.open()
        return self._begin()

    def finish(self, output: Any) -> Views:
        """Cut the views from the output of the root's forward, and make those that are missing."""
        if self.reader is None:
            return self._finish(output, ())
        self.reader.close()
        return self._finish(output, cut_layers(self.reader.finish(output), self.sizes))

    def close(self) -> None:
        """End the passes, also after an error: the next forward of the root begins its own."""
        self.noise.current, self.noise.pass_is_set = self._before
        if self.reader is not None:
            self.reader.close()

    @abstractmethod
    def _begin(self) -> Arguments: ...

    @abstractmethod
    def _finish(self, output: Any, layers: Layers) -> Views: ...

    def _layout(self) -> Layout:
        return layout_of(self.model, self.arguments, self.request.rows)

    def _part(self, layout: Layout, rows: int) -> Any:
        return layout.with_names(self.names).leading(self.batch, rows)


class StackedRun(ViewRun):
    """All views as one batch, in one forward."""

    together = True

    def __init__(self, layout: Layout, *rest: Any) -> None:
        super().__init__(*rest)
        self.layout = layout
        self.rows = layout.argument_rows(self.arguments)
        self.shared = ceil(self.rows * self.request.batch_fraction)
        self.row_counts = [self.rows] + [self.shared] * (self.request.views - 1)
        self.sizes = self.row_counts

    def _begin(self) -> Arguments:
        views = range(self.request.views)
        self.noise.current = self.request.forward_pass(views, sum(self.row_counts))
        return self.layout.stacked(self.arguments, self.row_counts)

    def _finish(self, output: Any, layers: Layers) -> Views:
        part = self.batch
        if self.shared != self.rows:
            part = self._part(self.layout, self.shared)
        try:
            outputs = self.layout.cut(output, self.row_counts)
        except ViewError:
            # The output is not of the form that was found by running: it is found once more.
            forget_layouts(self.model)
            self.layout = self._layout()
            outputs = self.layout.cut(output, self.row_counts)
        return Views(
            outputs=tuple(outputs),
            batches=(self.batch,) + (part,) * (self.request.views - 1),
            rows=self.rows,
            shared_rows=self.shared,
            layers=layers,
            step=self.step,
        )


class LoopedRun(ViewRun):
    """One forward for each view."""

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        self.rows = self.shared = None
        if self.request.batch_fraction < 1 or self.request.reads is not None:
            layout = self._layout()
            self.rows = layout.argument_rows(self.arguments)
            self.shared = ceil(self.rows * self.request.batch_fraction)
            self.sizes = [self.rows]
        self.state = ModelState(self.model) if self.request.views > 1 else None

    def _begin(self) -> Arguments:
        self.noise.current = self.request.forward_pass(range(1))
        return self._copy(self.arguments)

    def _finish(self, output: Any, layers: Layers) -> Views:
        arguments, part = self.arguments, self.batch
        if self.shared != self.rows and self.shared is not None:
            layout = self._layout()
            arguments = layout.leading_arguments(arguments, self.shared)
            part = self._part(layout, self.shared)
        last = self.state.now() if self.state is not None else None
        passes = [self._pass(view, arguments) for view in range(1, self.request.views)]
        if last is not None:
            last.restart()
        outputs = (output, *(other for other, _ in passes))
        self._remember_modes(outputs)
        return Views(
            outputs=outputs,
            batches=(self.batch,) + (part,) * (self.request.views - 1),
            rows=self.rows,
            shared_rows=self.shared,
            layers=layers + tuple(chain(*(read for _, read in passes))),
            step=self.step,
        )

    def _pass(self, view: int, arguments: Arguments) -> tuple[Any, Layers]:
        """One more forward of the root, and the blocks that were read in it."""
        assert self.state is not None
        self.state.restart()
        self.noise.current = self.request.forward_pass(range(view, view + 1))
        silence = view in self.request.noise_free
        reading = reading_blocks(self.model, self.request.reads)
        with noise_disabled(self.model) if silence else nullcontext(), reading as read:
            args, kwargs = self._copy(arguments)
            output = self.model(*args, **kwargs)
        sizes = None if self.shared is None else [self.shared]
        return output, cut_layers(read.layers, sizes) if read is not None else ()

    def _copy(self, arguments: Arguments) -> Arguments:
        """Copy the arguments for one of several views, for a model may write into them."""
        return copy_tensors(arguments) if self.request.views > 1 else arguments

    def _remember_modes(self, outputs: tuple[Any, ...]) -> None:
        if self.request.noise_free:
            modes = Modes(self.model)
            for view, output in enumerate(outputs):
                modes.remember(output, noise_free=view in self.request.noise_free)


class ForkedRun(ViewRun):
    """One forward whose rows become those of all views where the trunk ends."""

    together = True

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        self.layout = forked_layout(self.model, self.request, self.arguments, self.noise.rank)
        self.rows = self.layout.argument_rows(self.arguments)
        self.trunk, n = self.request.trunk, self.request.views
        assert self.trunk is not None
        self.sizes = self.row_counts = [self.rows] * n
        self.fork = Trunk(self.model, self.trunk, self.noise, self.rows, n)
        self.below = self.fork.below

    def _begin(self) -> Arguments:
        self.noise.current = ForwardPass(rows=self.rows)
        self.fork.__enter__()
        args, kwargs = self.arguments
        kwargs = decoder_inputs(self.model, kwargs)
        return Arguments(args, labels_of_all_views(kwargs, self.request.views))

    def close(self) -> None:
        super().close()
        self.fork.detach()

    def _finish(self, output: Any, layers: Layers) -> Views:
        self.fork.__exit__(None)
        self.fork.fork_again_in_backward(output)
        return Views(
            outputs=tuple(self.layout.cut(output, self.row_counts, self.rows)),
            batches=(self.batch,) * self.request.views,
            rows=self.rows,
            shared_rows=self.rows,
            layers=layers,
            step=self.step,
        )


def plan_run(
    model: nn.Module,
    request: ViewRequest,
    arguments: Arguments,
    batch: Any,
    noise: Noise,
    names: tuple[str, ...] = (),
    layout: Layout | None = None,
) -> ViewRun:
    """The run that makes the views: stacked, forked at a trunk, or one after the other.

    A `layout` that is known already says that they are to be stacked by it.
    """
    rest = (model, request, arguments, batch, noise, names)
    if request.trunk is not None and request.views > 1:
        return ForkedRun(*rest)
    if layout is None:
        layout = stacked_layout(model, request, arguments, noise.rank)
    return LoopedRun(*rest) if layout is None else StackedRun(layout, *rest)
