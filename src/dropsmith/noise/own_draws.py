"""Random draws that a module's own code makes, outside every site."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import sleep
from typing import Any

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._python_dispatch import TorchDispatchMode

from dropsmith.interception import ModuleTrace, NoisyCall
from dropsmith.noise.random_states import TORCH, RandomStates
from dropsmith.noise.skipping import depth_attribute, layer_drop_rate


@dataclass(eq=False)
class OwnDraws:
    """The modules that have used random generators in forwards so far, and which they used.

    Args:
        generators: by the name of a module (empty for the root), the generators that its own code
            used: `torch`, `numpy` or `random`. What its children and calls that are sites draw is
            not its own.
        layer_drop: the modules that drew to skip a layer, and at what rate.
    """

    generators: dict[str, set[str]] = field(default_factory=dict)
    layer_drop: dict[str, float] = field(default_factory=dict)

    @property
    def modules(self) -> list[str]:
        """The modules with such draws, each once."""
        return list(dict.fromkeys((*self.generators, *self.layer_drop)))


def own_draws(model: nn.Module, run: Callable[[], Any]) -> OwnDraws:
    """Record what the modules of a model draw by their own code.

    Args:
        model: any module.
        run: runs the model; a second time where a generator was used, and a third time where
            NumPy's or Python's was.
    """
    before = RandomStates.now()
    trace = _trace(model, run, torch_only=True)
    if trace.others:
        before.restore()
        trace = _trace(model, run, torch_only=False)
    if trace.draws.generators:
        before.restore()
        _leave_out_foreign(trace.draws, model, run, trace.torch_only)
    return trace.draws


def _trace(model: nn.Module, run: Callable[[], Any], *, torch_only: bool) -> "_DrawTrace":
    trace = _DrawTrace(torch_only)
    with trace.running(model):
        run()
    return trace


def _leave_out_foreign(
    draws: OwnDraws, model: nn.Module, run: Callable[[], Any], torch_only: bool
) -> None:
    """Leave out what another thread has drawn meanwhile, from generators that all threads share.

    Operations that draw are seen in the thread that runs them. What draws otherwise is believed
    where it draws again, of a generator that stays as it is while nothing runs here.
    """
    operations = _SeededOperations()
    again = _DrawTrace(torch_only)
    again.operations = operations
    try:
        with operations, again.running(model):
            run()
    except Exception:  # a model may not run so, as one that is compiled
        return
    foreign = _foreign_generators() if _unseen(draws, again) else ()
    for module, generators in list(draws.generators.items()):
        seen = {TORCH} & generators if module in again.seeded_modules else set()
        repeated = generators & again.draws.generators.get(module, set()) - set(foreign)
        if not (seen | repeated):
            del draws.generators[module]
        else:
            draws.generators[module] = seen | repeated


def _unseen(draws: OwnDraws, again: "_DrawTrace") -> bool:
    return any(
        generators - ({TORCH} if module in again.seeded_modules else set())
        for module, generators in draws.generators.items()
    )


def _foreign_generators() -> tuple[str, ...]:
    """The generators that another thread draws from, as far as that shows within some time."""
    before = RandomStates.now()
    sleep(_IDLE_SECONDS)
    return before.changes(RandomStates.now())


_IDLE_SECONDS = 0.02


class _SeededOperations(TorchDispatchMode):
    """Counts the operations of this thread that draw from torch's generators."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


class _DrawTrace(ModuleTrace):
    """Compares the generators wherever the code that runs becomes another module's, or a site's."""

    def __init__(self, torch_only: bool) -> None:
        super().__init__()
        self.draws, self.torch_only = OwnDraws(), torch_only
        self.others = False
        self.operations: _SeededOperations | None = None
        self.seeded_modules: set[str] = set()
        self.count = 0
        self.before = RandomStates.now()
        self.states = self._now()

    def _now(self) -> RandomStates:
        return RandomStates.now(torch_only=self.torch_only)

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module begins: what was drawn so far is of the one around it."""
        self._attribute(self.stack[:-1])
        if len(self.stack) == 1:
            self.before = RandomStates.now()

    def end(self, output: Any) -> None:
        """It ends."""
        self._attribute(self.stack)
        if len(self.stack) == 1 and set(self.before.changes(RandomStates.now())) - {TORCH}:
            self.others = True

    def call(self, call: NoisyCall) -> Any:
        """A call that is a site: what it draws is not the module's own."""
        self._attribute(self.stack)
        output = call.run()
        self._look()
        return output

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not (func is torch.rand and bool(self.stack) and self._may_skip(args)):
            return super().__torch_function__(func, types, args, kwargs)
        self._attribute(self.stack)
        output = func(*args, **(kwargs or {}))
        self._note_layer_drop()
        self._look()
        return output

    def _may_skip(self, args: Any) -> bool:
        """Say whether one number is drawn by a module that has a rate of skipping layers."""
        sizes = args[0] if args and isinstance(args[0], tuple | list) else args
        return not sizes and layer_drop_rate(self.stack[-1][1]) is not None

    def _note_layer_drop(self) -> None:
        name, module = self.stack[-1]
        if rate := layer_drop_rate(module):
            self.draws.layer_drop[name] = rate

    def _look(self) -> None:
        self.states = self._now()
        self.count = 0 if self.operations is None else self.operations.count

    def _note_operations(self, owner: str, module: nn.Module) -> None:
        if not isinstance(module, _DropoutNd) and depth_attribute(module) is None:
            self.seeded_modules.add(owner)

    def _attribute(self, stack: Sequence[tuple[str, nn.Module]]) -> None:
        """Put down what was drawn since the last look to the module whose code runs."""
        before, count = self.states, self.count
        self._look()
        if stack and self.count > count:
            self._note_operations(*stack[-1])
        if not stack or not (generators := before.changes(self.states)):
            return
        owner, module = stack[-1]
        if isinstance(module, _DropoutNd) or depth_attribute(module) is not None:
            generators = tuple(name for name in generators if name != TORCH)
        if generators:
            self.draws.generators.setdefault(owner, set()).update(generators)
