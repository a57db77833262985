"""The work before the first draw done once: what modules returned there is handed out again.

In the pass that is recorded, every module that finishes before anything random happens is noted,
the outermost of those inside one another. In the passes after it they do not run: their place
takes what they returned, repeated for the samples that are stacked. A value that nothing but
other replayed modules is given is not even kept: an empty tensor of its shape stands for it.
Another thread that calls a module meanwhile gets what the module returns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.prediction.tensor_usage import TensorUsage, hollow, over_tensors

Forward = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Script:
    """The calls that can be replayed, as trying a few rows has shown.

    Args:
        dims: for each call, by number, the axis of rows of each tensor it returns, or None where
            a tensor is the same for any number of rows.
        values: the calls whose tensors are given to anything but replayed modules; of others
            nobody asks more than the shape.
    """

    dims: Mapping[int, Sequence[int | None]]
    values: frozenset[int]


@dataclass(eq=False)
class Entry:
    """One call of a module, begun before the first draw.

    Args:
        module: what was called.
        number: how many such calls had begun before it, those inside others counted too.
        output: what it returned, if it also finished before the first draw.
        has_output: whether it did.
    """

    module: nn.Module
    number: int
    output: Any = None
    has_output: bool = False


class Recorder:
    """Notes in one pass of a model what could be handed out again in the next.

    Args:
        noise_began: whether anything random has happened in the pass so far.
        script: what is known about the calls; without it every tensor is kept.
        on_output: is given each output that is kept.
    """

    def __init__(
        self,
        noise_began: Callable[[], bool],
        script: Script | None = None,
        on_output: Callable[[Any], None] | None = None,
    ) -> None:
        self.noise_began, self.script, self.on_output = noise_began, script, on_output
        self.entries: list[Entry] = []
        self.count, self.thread = 0, get_ident()

    @property
    def follows_script(self) -> bool:
        """True where the calls that finished are those that the script knows."""
        numbers = [entry.number for entry in self.entries if entry.has_output]
        return self.script is not None and numbers == list(self.script.dims)

    def wrap(self, module: nn.Module, forward: Forward) -> Forward:
        """A forward that notes what the module returns."""

        @wraps(forward)
        def noting(*args: Any, **kwargs: Any) -> Any:
            if get_ident() != self.thread or self.noise_began():
                return forward(*args, **kwargs)
            entry, place = Entry(module, self.count), len(self.entries)
            self.entries.append(entry)
            self.count += 1
            output = forward(*args, **kwargs)
            if not self.noise_began():
                # Some outputs of transformers cannot be made again from their parts: then the
                # modules inside are replayed, and not this one.
                with suppress(TypeError):
                    entry.output, entry.has_output = self._copy(entry.number, output), True
                    del self.entries[place + 1 :]
            return output

        return noting

    def _copy(self, number: int, output: Any) -> Any:
        # Copies, because what comes after may work in place.
        has_values = self.script is None or number in self.script.values
        copy = over_tensors(Tensor.clone if has_values else hollow, output)
        if self.on_output is not None:
            self.on_output(copy)
        return copy


class Player:
    """Hands out what was recorded, in the order of the calls.

    Args:
        entries: of the recorded pass.
        script: what is known about them.
        copies: how many samples are stacked.
    """

    def __init__(self, entries: Sequence[Entry], script: Script, copies: int = 1) -> None:
        self.entries, self.script, self.copies = entries, script, copies
        self.place, self.thread = 0, get_ident()
        self.uses: TensorUsage | None = None

    def wrap(self, module: nn.Module, forward: Forward) -> Forward:
        """A forward that returns what the module returned when it was recorded."""

        @wraps(forward)
        def replaying(*args: Any, **kwargs: Any) -> Any:
            entry = self.entries[self.place] if self.place < len(self.entries) else None
            if entry is None or entry.module is not module or get_ident() != self.thread:
                return forward(*args, **kwargs)
            self.place += 1
            return self._output(entry) if entry.has_output else forward(*args, **kwargs)

        return replaying

    def _output(self, entry: Entry) -> Any:
        change = _repeat if entry.number in self.script.values else _stretch
        dims = iter(self.script.dims[entry.number])
        output = over_tensors(lambda x: change(x, next(dims), self.copies), entry.output)
        if self.uses is not None:
            self.uses.watch(entry.number, output)
        return output


@contextmanager
def through(model: nn.Module, way: Recorder | Player) -> Iterator[None]:
    """The forwards of all modules below the root go through `way` in a `with` block."""
    forwards: list[tuple[nn.Module, Forward | None]] = []
    try:
        for module in model.modules():
            if module is model or isinstance(module, torch.jit.ScriptModule):
                continue
            forwards.append((module, module.__dict__.get("forward")))
            module.__dict__["forward"] = way.wrap(module, module.forward)
        yield
    finally:
        for module, forward in forwards:
            if forward is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = forward


def _repeat(x: Tensor, dim: int | None, copies: int) -> Tensor:
    return x.clone() if dim is None or copies == 1 else torch.cat([x] * copies, dim)


def _stretch(x: Tensor, dim: int | None, copies: int) -> Tensor:
    sizes = [size * copies if d == dim else size for d, size in enumerate(x.shape)]
    return hollow(x.new_empty(())).expand(sizes)
