"""The work before the first draw done once: what modules returned there is handed out again.

In the pass that is recorded, every module that finishes before anything random happens is noted,
the outermost of those inside one another. In the passes after it they do not run: their place
takes what they returned, repeated for the samples that are stacked. A value that nothing but
other replayed modules is given is not even kept: an empty tensor of its shape stands for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.prediction.tensor_usage import TensorUsage, hollow, over_tensors

Forward = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Script:
    """What is known, from trying it on a few rows, about the calls that can be replayed.

    Args:
        dims: for each call, by number, the axis of rows of each tensor it returns, or None where
            a tensor is the same for any number of rows.
        needed: the calls whose tensors are given to anything but replayed modules.
    """

    dims: Mapping[int, Sequence[int | None]]
    needed: frozenset[int]


@dataclass(eq=False)
class Entry:
    """One call of a module, begun before the first draw.

    Args:
        module: what was called.
        number: how many such calls had begun before it, those inside others counted too.
        output: what it returned, if it also finished before the first draw.
        finished: whether it did.
    """

    module: nn.Module
    number: int
    output: Any = None
    finished: bool = False


class Recorder:
    """Notes in one pass of a model what could be handed out again in the next.

    Args:
        drawn: whether anything random has happened in the pass so far.
        script: what is known about the calls; without it every tensor is kept.
        told: is given each output that is kept.
    """

    def __init__(
        self,
        drawn: Callable[[], bool],
        script: Script | None = None,
        told: Callable[[Any], None] | None = None,
    ) -> None:
        self.drawn, self.script, self.told = drawn, script, told
        self.entries: list[Entry] = []
        self.begun = 0

    @property
    def as_tried(self) -> bool:
        """Whether the calls that finished are those that the script knows."""
        finished = [entry.number for entry in self.entries if entry.finished]
        return self.script is not None and finished == list(self.script.dims)

    def wrap(self, module: nn.Module, forward: Forward) -> Forward:
        """A forward that notes what the module returns."""

        @wraps(forward)
        def noting(*args: Any, **kwargs: Any) -> Any:
            if self.drawn():
                return forward(*args, **kwargs)
            entry, place = Entry(module, self.begun), len(self.entries)
            self.entries.append(entry)
            self.begun += 1
            output = forward(*args, **kwargs)
            if not self.drawn():
                del self.entries[place + 1 :]
                entry.output, entry.finished = self._kept(entry.number, output), True
            return output

        return noting

    def _kept(self, number: int, output: Any) -> Any:
        # Copies, because what comes after may work in place.
        needed = self.script is None or number in self.script.needed
        kept = over_tensors(Tensor.clone if needed else hollow, output)
        if self.told is not None:
            self.told(kept)
        return kept


class Player:
    """Hands out what was recorded, in the order of the calls.

    Args:
        entries: of the recorded pass.
        script: what is known about them.
        copies: how many samples are stacked.
    """

    def __init__(self, entries: Sequence[Entry], script: Script, copies: int = 1) -> None:
        self.entries, self.script, self.copies = entries, script, copies
        self.place = 0
        self.uses: TensorUsage | None = None

    def wrap(self, module: nn.Module, forward: Forward) -> Forward:
        """A forward that returns what the module returned when it was recorded."""

        @wraps(forward)
        def replaying(*args: Any, **kwargs: Any) -> Any:
            entry = self.entries[self.place] if self.place < len(self.entries) else None
            if entry is None or entry.module is not module:
                return forward(*args, **kwargs)
            self.place += 1
            return self._again(entry) if entry.finished else forward(*args, **kwargs)

        return replaying

    def _again(self, entry: Entry) -> Any:
        change = _repeated if entry.number in self.script.needed else _stretched
        dims = iter(self.script.dims[entry.number])
        output = over_tensors(lambda x: change(x, next(dims), self.copies), entry.output)
        if self.uses is not None:
            self.uses.given(entry.number, output)
        return output


@contextmanager
def through(model: nn.Module, way: Recorder | Player) -> Iterator[None]:
    """The forwards of all modules below the root go through `way` in a `with` block."""
    own: list[tuple[nn.Module, Forward | None]] = []
    try:
        for module in model.modules():
            if module is model or isinstance(module, torch.jit.ScriptModule):
                continue
            own.append((module, module.__dict__.get("forward")))
            module.__dict__["forward"] = way.wrap(module, module.forward)
        yield
    finally:
        for module, forward in own:
            if forward is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = forward


def _repeated(x: Tensor, dim: int | None, copies: int) -> Tensor:
    return x.clone() if dim is None or copies == 1 else torch.cat([x] * copies, dim)


def _stretched(x: Tensor, dim: int | None, copies: int) -> Tensor:
    sizes = [size * copies if d == dim else size for d, size in enumerate(x.shape)]
    return hollow(x.new_empty(())).expand(sizes)
