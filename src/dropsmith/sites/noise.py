"""The state of a model's noise: which step, which views, how often each site has drawn.

One `Noise` belongs to one root module and is shared by everything installed there. The step is a
tensor, so that compiled code need not be compiled again as training goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2s
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import NoiseError, PlanError
from dropsmith.rng import Key, Source
from dropsmith.sites import region
from dropsmith.sites.region import Place
from dropsmith.sites.site import Kind

TRAINING, PREDICTION, PROBE = 0, 1, 2
Observer = Callable[[str, Kind, Tensor, Tensor], None]
"""Takes a site's name and kind, and what it was given and returned."""
ATTRIBUTE = "_dropsmith_noise"
_MOST = 4096
"""Keys that are held, at most: a module in a loop over long texts has one for each of its calls."""


@dataclass(frozen=True)
class Pass:
    """One run of the model: what its masks depend on beside the site.

    Args:
        views: the views stacked in the batch, in order.
        quiet: those of them that run without noise.
        domain: training, prediction or probing; each has masks of its own.
        step: the step to draw for, or None for the model's own counter.
        sampling: whether noise is on although modules are in eval mode.
        rows: how many rows the stacked batch has, where that is known.
        calls: how often each site has drawn.
        places: where in the forward each of these calls was made.
        again: how often each site has drawn in a part that was run again, by its first call there
            and the number of the backward pass.
    """

    views: tuple[int, ...] = (0,)
    quiet: tuple[int, ...] = ()
    domain: int = TRAINING
    step: int | None = None
    sampling: bool = False
    rows: int | None = None
    calls: dict[str, int] = field(default_factory=dict, compare=False)
    places: dict[str, list[Place]] = field(default_factory=dict, compare=False)
    again: dict[tuple[str, int, int], int] = field(default_factory=dict, compare=False)
    held: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict, compare=False)


class Noise:
    """The counters of one root module's noise; deep copies and pickles with the model."""

    def __init__(self, seed: int = 0, rank: int = 0) -> None:
        self.seed, self.rank = seed, rank
        self.counter = torch.zeros((), dtype=torch.int32)
        self.current = Pass()
        self.held = False
        self.fired: dict[str, int] = {}
        self.checked = False
        self.observer: Observer | None = None
        self.loaded = False
        self._prefixes: dict[str, Key] = {}
        self._folded: dict[tuple[str, int, int, int], Key] = {}

    @property
    def step(self) -> int:
        """How many training forwards have started; setting it is how a resumed run goes on."""
        return int(self.counter)

    @step.setter
    def step(self, value: int) -> None:
        if value < 0:
            raise NoiseError(f"a step counts training forwards and cannot be {value}")
        self.counter.fill_(value)
        self.loaded = False

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint has to carry, for `accelerator.register_for_checkpointing` and such.

        >>> Noise().state_dict()
        {'step': 0}
        """
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from where `state_dict` was taken."""
        self.step = int(state["step"])

    def prepare(self, site: str) -> None:
        """Fold what does not change during training once, at install."""
        name = int.from_bytes(blake2s(site.encode(), digest_size=4).digest(), "big")
        self._prefixes[site] = Key.of(self.seed).fold(self.rank, name)
        self._folded.clear()

    def begin(self, training: bool) -> None:
        """A forward of the root starts: count it if it trains, and draw afresh."""
        if training:
            self.counter.add_(1)
        self.current = Pass()

    @contextmanager
    def passing(self, this: Pass) -> Iterator[None]:
        """Run the model under `this` pass, keeping its root hooks from starting another."""
        before, held = self.current, self.held
        self.current, self.held = this, True
        try:
            yield
        finally:
            self.current, self.held = before, held

    @contextmanager
    def probing(self) -> Iterator[None]:
        """Run the model to look at it: no forward in the block counts, and none is checked."""
        before = self.step, dict(self.fired), self.checked, self.current
        self.checked = True
        try:
            yield
        finally:
            self.step, self.fired, self.checked, self.current = before

    def active(self, training: bool) -> bool:
        """Whether a site whose module has this training flag drops in this pass."""
        return training or self.current.sampling

    def sources(
        self, site: str, shared: bool, device: torch.device, name: str | None = None
    ) -> tuple[Source, ...]:
        """One source per view for the next call of `site`; the same one where views share.

        Args:
            name: what sites that drop by one mask are called together; `site` where it has its own.
        """
        this = self.current
        call = self._call(site, name)
        step = self._step()
        shown = (0,) * len(this.views) if shared else this.views
        own = name or site
        return tuple(
            Source(self._key(own, view, call).fold(step), step, device, view) for view in shown
        )

    def agree(self, name: str, site: str, sizes: tuple[int, ...]) -> None:
        """Raise `PlanError` where sites that drop by one mask need masks of several sizes."""
        if not torch.compiler.is_compiling() and _in_backward():
            return
        call = self.current.calls.get(_counter(site, name), 1)
        first, want = self.current.held.setdefault(f"{call} {name}", (site, sizes))
        if sizes != want:
            raise PlanError(
                f"sites of one rule cannot drop by one mask: they need masks of several sizes\n"
                f"  rule's sites: {name}\n"
                f"  {first} needs {want}\n  {site} needs {sizes}\n"
                "  write a rule for each size, or leave mask= out"
            )

    def quiet_views(self) -> tuple[bool, ...]:
        """Which of the stacked views run without noise."""
        return tuple(view in self.current.quiet for view in self.current.views)

    def restore_in_backward(self, tensors: list[Tensor]) -> None:
        """Come back to this pass when the backward pass reaches what it returned.

        Activation checkpointing runs layers again during backward. By then another pass may have
        begun; hooks on the outputs run before any of their layers, in the order that is needed.
        """
        this = replace(self.current, step=int(self._step()))
        for tensor in tensors:
            if tensor.requires_grad:
                tensor.register_hook(_Restore(self, this))

    def _key(self, name: str, view: int, call: int) -> Key:
        """A site's key for a view and call, but for the step, which alone differs from the last."""
        domain = self.current.domain
        if torch.compiler.is_compiling():
            return self._prefixes[name].fold(domain, view, call)
        known = name, domain, view, call
        if known not in self._folded:
            if len(self._folded) >= _MOST:
                self._folded.clear()
            self._folded[known] = self._prefixes[name].fold(domain, view, call)
        return self._folded[known]

    def _step(self) -> int | Tensor:
        if self.current.step is not None:
            return self.current.step
        return self.counter if torch.compiler.is_compiling() else int(self.counter)

    def _call(self, site: str, name: str | None) -> int:
        calls, counter = self.current.calls, _counter(site, name)
        if not torch.compiler.is_compiling():
            self.fired[site] = self.fired.get(site, 0) + 1
            if _in_backward():
                return _recomputed(counter, self.current)
        call = calls.get(counter, 0)
        calls[counter] = call + 1
        if not torch.compiler.is_compiling():
            self.current.places.setdefault(counter, []).append(region.place())
        return call


class _Restore:
    def __init__(self, noise: Noise, this: Pass) -> None:
        self.noise, self.this = noise, this

    def __call__(self, grad: Tensor) -> None:
        self.noise.current = self.this


def _counter(site: str, name: str | None) -> str:
    # An embedding is one name for two sites, of which one may have its own mask.
    return site if name is None else f"{site} of {name}"


def _in_backward() -> bool:
    # Compiled code does not run a checkpointed block by its hooks again.
    return not torch.compiler.is_compiling() and region.backward() != -1


def _recomputed(counter: str, this: Pass) -> int:
    """Which call of the forward a call in backward is the second run of."""
    if this.calls.get(counter, 1) == 1:
        return 0
    meant = region.again(this.places[counter])
    key = counter, min(meant, default=0), region.backward()
    done = this.again.get(key, 0)
    if done >= len(meant):
        raise NoiseError(
            f"site {counter!r} drew {this.calls[counter]} masks in one forward and is now run "
            "again for backward, where it cannot be told which of them is meant\n"
            "  torch.utils.checkpoint tells it; leave other hooks on saved tensors out of what it "
            "runs, or the module that is used several times out of checkpointing"
        )
    this.again[key] = done + 1
    return meant[done]


def noise_of(model: nn.Module) -> Noise:
    """The noise state of a model, also through a wrapper such as DistributedDataParallel.

    >>> noise_of(nn.Linear(2, 2))
    Traceback (most recent call last):
    dropsmith.errors.NoiseError: this model has no noise of ours: install a plan first
    """
    found = find_noise(model)
    if found is None:
        raise NoiseError("this model has no noise of ours: install a plan first")
    return found


def find_noise(model: nn.Module) -> Noise | None:
    """Like `noise_of`, or None."""
    for module in model.modules():
        found: Any = module.__dict__.get(ATTRIBUTE)
        if found is not None:
            return found
    return None


def step(model: nn.Module, number: int) -> None:
    """Tell a model that training forward `number` was the last, so that noise goes on from there.

    A resumed run whose trainer carries no step of ours calls this once before it goes on.
    """
    noise_of(model).step = number
