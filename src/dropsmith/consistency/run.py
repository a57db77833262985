"""One training forward of a consistent model, from the batch it was given to its views."""

import inspect
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from dropsmith.errors import ObjectiveError
from dropsmith.objectives import Objective
from dropsmith.sites import Noise, Pass, Reads
from dropsmith.sites.batch import map_rows, rows_of
from dropsmith.sites.reader import Reader
from dropsmith.terms import Mean, Terms
from dropsmith.views import Views
from dropsmith.views.layers import Layers, cut_layers, seeing
from dropsmith.views.passes import choose, cut, running
from dropsmith.views.quiet import Modes, silenced
from dropsmith.views.trunk import Trunk

ITEMS = "num_items_in_batch"
_LABELS = ("labels", "start_positions", "end_positions")


@dataclass(frozen=True)
class Forward:
    """What a model's forward takes: names by position, and whether labels and items are taken."""

    names: tuple[str, ...]
    labels: bool
    items: bool

    @classmethod
    def of(cls, model: nn.Module) -> "Forward":
        """Read once: trainers put functions of their own in place of `forward` later."""
        parameters = inspect.signature(model.forward).parameters.values()
        anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = tuple(p.name for p in parameters if p.kind in kinds)
        known = {p.name for p in parameters}
        return cls(names, anything or "labels" in known, anything or ITEMS in known)

    def by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """All arguments under their names."""
        if len(args) > len(self.names):
            raise ObjectiveError(
                f"forward takes {len(self.names)} arguments by position, was given {len(args)}\n"
                "  give the arguments of a consistent model by name"
            )
        return {**dict(zip(self.names, args, strict=False)), **kwargs}


@dataclass(frozen=True, kw_only=True)
class Running:
    """What the hook before the forward leaves for the hook after it.

    Args:
        noise: the model's.
        step: the training step this is.
        n: how many views.
        quiet: those of them without noise.
        stacked: whether they all run in one forward.
        args, kwargs: what forward takes for one view.
        batch: the same by name, with labels.
        rows: how many rows the batch has.
        some: how many of them the second and later views see.
        fork: where views that share a trunk part, or None.
        items: over how many items a trainer averages, of which these are a part; or None.
        reads: what to read of each view's Transformer blocks; or None.
        reader: reads the pass that the root has begun; or None.
    """

    noise: Noise
    step: int
    n: int
    quiet: tuple[int, ...]
    stacked: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    batch: dict[str, Any]
    rows: int
    some: int
    items: Tensor | int | None
    fork: Trunk | None = None
    reads: Reads | None = None
    reader: Reader | None = None

    def begin(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Start the first pass, or all as one; what forward is to be given."""
        self.noise.held = True
        if self.reader is not None:
            self.reader.open()
        if self.fork is not None:
            self.noise.current = Pass(rows=self.rows)
            self.fork.__enter__()
            return self.args, self._with_labels_of_all_views()
        if not self.stacked:
            self.noise.current = Pass(views=(0,), quiet=self.quiet)
            return self.args, self.kwargs
        self.noise.current = Pass(views=tuple(range(self.n)), rows=sum(self.sizes))
        sizes = self.sizes
        return map_rows(lambda x: torch.cat([x[:k] for k in sizes]), (self.args, self.kwargs))

    def end(self) -> None:
        """The passes are over: the next forward of the root begins its own."""
        self.noise.held = False
        if self.fork is not None:
            self.fork.detach()
        if self.reader is not None:
            self.reader.close()

    @property
    def together(self) -> bool:
        """Whether the root's own forward makes all views."""
        return self.stacked or self.fork is not None

    @property
    def sizes(self) -> list[int]:
        """How many rows each view has that the root's own forward makes."""
        return [self.rows] + [self.some] * (self.n - 1 if self.together else 0)

    def views(self, module: nn.Module, output: Any) -> Views:
        """The views in the forward that has ended, and those that are still to be made."""
        layers = self._read(output, self.sizes)
        if self.fork is not None:
            self.fork.__exit__(None)
            self.fork.fork_again_in_backward(output)
        args, kwargs, batch = self._part()
        batches = (self.batch,) + (batch,) * (self.n - 1)
        if self.together:
            outputs = cut(output, self.sizes)
            _cut_caches(outputs[0], self.rows)
            return self._made(outputs, batches, layers)
        outputs = [output]
        for view in range(1, self.n):
            silence = silenced(module) if view in self.quiet else nullcontext()
            passing = running(self.noise, Pass(views=(view,), quiet=self.quiet))
            with passing, silence, seeing(module, self.reads) as read:
                outputs.append(module(*args, **kwargs))
            layers += cut_layers(read.layers, [self.some]) if read is not None else ()
        if self.quiet:
            modes = Modes(module)
            for view, made in enumerate(outputs):
                modes.remember(made, quiet=view in self.quiet)
        return self._made(tuple(outputs), batches, layers)

    def _made(
        self, outputs: tuple[Any, ...], batches: tuple[Any, ...], layers: tuple[Layers, ...]
    ) -> Views:
        return Views(
            outputs=outputs,
            batches=batches,
            shared_rows=self.some,
            layers=layers,
            step=self.step,
        )

    def _read(self, output: Any, sizes: list[int]) -> tuple[Layers, ...]:
        """What the root's own pass has shown; the reader's hooks come off."""
        if self.reader is None:
            return ()
        self.reader.close()
        return cut_layers(self.reader.finish(output), sizes)

    def part(self, terms: Terms, count: Tensor | float) -> Terms:
        """The terms, averaged over all items of an optimiser step and not over these alone.

        The parts of all its micro-batches then add up to the mean over all of them.

        Args:
            terms: sums and counts of this micro-batch.
            count: how many items view 0 counted.
        """
        if self.items is None:
            return terms
        parts = self.items / torch.as_tensor(count, dtype=torch.float32).clamp(min=1)
        return {name: Mean(term.sum, term.count * parts) for name, term in terms.items()}

    def _with_labels_of_all_views(self) -> dict[str, Any]:
        """What forward is given by name: a trunk has one view, the loss at its end sees all."""
        given = {k: v for k, v in self.kwargs.items() if k in _LABELS and v is not None}
        return {**self.kwargs, **{k: torch.cat([v] * self.n) for k, v in given.items()}}

    def _part(self) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        given = self.args, self.kwargs, self.batch
        return given if self.some == self.rows else map_rows(lambda x: x[: self.some], given)


def _cut_caches(output: Any, rows: int) -> None:
    # The key and value caches of Hugging Face models are objects, one for the whole stack.
    for leaf in pytree.tree_leaves(output):
        if hasattr(leaf, "batch_select_indices"):
            leaf.batch_select_indices(torch.arange(rows))


def start(
    module: nn.Module,
    noise: Noise,
    forward: Forward,
    objective: Objective,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    mode: str,
    trunk: str | None = None,
) -> Running:
    """What is to be done in this forward, for the arguments it was called with."""
    kwargs = dict(kwargs)
    items = kwargs.pop(ITEMS, None)
    batch = forward.by_name(args, kwargs)
    if not forward.labels:
        kwargs.pop("labels", None)
    rows, n = rows_of(batch), objective.views_at(noise.step)
    how = choose(module, n, objective.quiet, objective.share) if mode == "auto" else mode
    some = ceil(rows * objective.share)
    reads = objective.reads if n > 1 else None
    fork = Trunk(module, trunk, noise, rows, n) if trunk is not None and n > 1 else None
    return Running(
        noise=noise,
        step=noise.step,
        n=n,
        quiet=tuple(view for view in objective.quiet if view < n),
        stacked=n > 1 and how == "stacked" and fork is None,
        args=tuple(args),
        kwargs=kwargs,
        batch=batch,
        rows=rows,
        some=some,
        items=items,
        fork=fork,
        reads=reads,
        reader=Reader(module, reads, begun=True) if reads is not None else None,
    )
