"""The state of a model's noise: which step, which views, how often each site has drawn.

One `Noise` belongs to one root module and is shared by everything installed there. The step is a
tensor, so that compiled code need not be compiled again as training goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2s

import torch
from torch import Tensor

from dropsmith.errors import NoiseError, PlanError
from dropsmith.interception import checkpointing
from dropsmith.noise.forward_pass import ForwardPass, counter_of, in_backward, recomputed
from dropsmith.plans import Kind
from dropsmith.rng import Key, Source

Observer = Callable[[str, Kind, Tensor, Tensor], None]
"""Takes a site's name and kind, and what it was given and returned."""


ATTRIBUTE = "_dropsmith_noise"


_MOST = 4096
"""Keys that are held, at most: a module in a loop over long texts has one for each of its calls."""


class Noise:
    """The counters of one root module's noise; deep copies and pickles with the model."""

    def __init__(self, seed: int = 0, rank: int = 0) -> None:
        self.seed, self.rank = seed, rank
        self.counter = torch.zeros((), dtype=torch.int32)
        self.current = ForwardPass()
        self.held = False
        self.draw_counts: dict[str, int] = {}
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
        self.current = ForwardPass()

    @contextmanager
    def passing(self, this: ForwardPass) -> Iterator[None]:
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
        before = self.step, dict(self.draw_counts), self.checked, self.current
        self.checked = True
        try:
            yield
        finally:
            self.step, self.draw_counts, self.checked, self.current = before

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
        if not torch.compiler.is_compiling() and in_backward():
            return
        call = self.current.calls.get(counter_of(site, name), 1)
        first, want = self.current.held.setdefault(f"{call} {name}", (site, sizes))
        if sizes != want:
            raise PlanError(
                f"sites of one rule cannot drop by one mask: they need masks of several sizes\n"
                f"  rule's sites: {name}\n"
                f"  {first} needs {want}\n  {site} needs {sizes}\n"
                "  write a rule for each size, or leave mask= out"
            )

    def noise_free_views(self) -> tuple[bool, ...]:
        """Which of the stacked views run without noise."""
        return tuple(view in self.current.noise_free for view in self.current.views)

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
        calls, counter = self.current.calls, counter_of(site, name)
        if not torch.compiler.is_compiling():
            self.draw_counts[site] = self.draw_counts.get(site, 0) + 1
            if in_backward():
                return recomputed(counter, self.current)
        call = calls.get(counter, 0)
        calls[counter] = call + 1
        if not torch.compiler.is_compiling():
            self.current.places.setdefault(counter, []).append(checkpointing.place())
        return call


class _Restore:
    def __init__(self, noise: Noise, this: ForwardPass) -> None:
        self.noise, self.this = noise, this

    def __call__(self, grad: Tensor) -> None:
        self.noise.current = self.this
