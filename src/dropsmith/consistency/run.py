"""One training forward of a consistent model, from what it is given to its views."""

from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

from torch import Tensor, nn

from dropsmith.activations import Reader, Reads
from dropsmith.batches import cut, cut_caches, leading, stacked
from dropsmith.noise import ForwardPass, Noise
from dropsmith.passes import (
    Layers,
    Modes,
    Trunk,
    Views,
    cut_layers,
    labels_of_all_views,
    noise_disabled,
    running,
    seeing,
)


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
            self.noise.current = ForwardPass(rows=self.rows)
            self.fork.__enter__()
            return self.args, labels_of_all_views(self.kwargs, self.n)
        if not self.stacked:
            self.noise.current = ForwardPass(views=(0,), quiet=self.quiet)
            return self.args, self.kwargs
        self.noise.current = ForwardPass(views=tuple(range(self.n)), rows=sum(self.sizes))
        return stacked((self.args, self.kwargs), self.sizes)

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
            outputs = cut(output, self.sizes, self.rows if self.fork is not None else None)
            cut_caches(outputs[0], self.rows)
            return self._made(outputs, batches, layers)
        made = [self._pass(module, view, args, kwargs) for view in range(1, self.n)]
        outputs = (output, *(other for other, _ in made))
        self._remember_modes(module, outputs)
        return self._made(outputs, batches, layers + tuple(chain(*(read for _, read in made))))

    def _pass(
        self, module: nn.Module, view: int, args: Any, kwargs: Any
    ) -> tuple[Any, tuple[Layers, ...]]:
        """One more forward of the root, and the blocks that were read in it."""
        silence = noise_disabled(module) if view in self.quiet else nullcontext()
        passing = running(self.noise, ForwardPass(views=(view,), quiet=self.quiet))
        with passing, silence, seeing(module, self.reads) as read:
            output = module(*args, **kwargs)
        return output, cut_layers(read.layers, [self.some]) if read is not None else ()

    def _remember_modes(self, module: nn.Module, outputs: tuple[Any, ...]) -> None:
        if self.quiet:
            modes = Modes(module)
            for view, output in enumerate(outputs):
                modes.remember(output, quiet=view in self.quiet)

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

    def _part(self) -> tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]:
        given = self.args, self.kwargs, self.batch
        return given if self.some == self.rows else leading(given, self.some)
