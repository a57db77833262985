"""The state of a model's noise: its clock, the pass that runs, and how often each site has drawn.

One `Noise` belongs to one root module and is shared by everything installed there.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from dropsmith.errors import NoiseError, PlanError
from dropsmith.interception import checkpointing
from dropsmith.noise.clock import Clock
from dropsmith.noise.forward_pass import (
    ForwardPass,
    SiteKeys,
    counter_of,
    in_backward,
    recomputed_call,
)
from dropsmith.plans import Kind
from dropsmith.rng import Source

Observer = Callable[[str, Kind, Tensor, Tensor], None]
"""Takes a site's name and kind, and what it was given and returned."""


ATTRIBUTE = "_dropsmith_noise"


class Noise:
    """The counters of one root module's noise; deep copies and pickles with the model."""

    def __init__(self, seed: int = 0, rank: int = 0) -> None:
        self.seed, self.rank = seed, rank
        self.clock = Clock()
        self.current = ForwardPass()
        self.pass_is_set = self.running = False
        self.restored_backward = -1
        self.draw_counts: dict[str, int] = {}
        self.rules_checked = False
        self.observer: Observer | None = None
        self.weights_loaded = False
        self.keys = SiteKeys()

    @property
    def step(self) -> int:
        """The number of training forwards that have started; a resumed run sets it to go on."""
        return self.clock.numbers[0]

    @step.setter
    def step(self, value: int) -> None:
        if value < 0:
            raise NoiseError(f"a step counts training forwards and cannot be {value}")
        self.clock.set(value)
        self.weights_loaded = False

    @property
    def pass_step(self) -> int:
        """The training step that the pass which is running draws for, in eager code."""
        return self._time()[0]

    def state_dict(self) -> dict[str, int]:
        """Return what a checkpoint has to carry, as for `accelerator.register_for_checkpointing`.

        >>> Noise().state_dict()
        {'step': 0}
        """
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from where `state_dict` was taken."""
        self.step = int(state["step"])

    def prepare(self, site: str) -> None:
        """Fold what does not change during training once, at install."""
        self.keys.prepare(site, self.seed, self.rank)

    def begin(self, training: bool, root: nn.Module | None = None) -> None:
        """A forward of the root starts: count it as a step if it trains, and draw afresh."""
        self.clock.begin(training, root)
        self.current = ForwardPass()

    @contextmanager
    def passing(self, forward_pass: ForwardPass) -> Iterator[None]:
        """Run the model under this pass, keeping its root hooks from starting another."""
        before = self.current, self.pass_is_set
        self.current, self.pass_is_set = forward_pass, True
        try:
            yield
        finally:
            self.current, self.pass_is_set = before

    @contextmanager
    def probing(self) -> Iterator[None]:
        """Run the model to look at it: no forward in the block counts, and none is checked."""
        numbers, training = self.clock.numbers, self.clock.training
        before = dict(self.draw_counts), self.rules_checked, self.current, self.weights_loaded
        self.rules_checked = True
        try:
            yield
        finally:
            self.clock.set(*numbers)
            self.clock.training = training
            self.draw_counts, self.rules_checked, self.current, self.weights_loaded = before

    def active(self, training: bool) -> bool:
        """Say whether a site whose module has this training flag drops in this pass."""
        return training or self.current.sampling

    def sources(
        self,
        site: str,
        shared: bool,
        device: torch.device,
        name: str | None = None,
        once: bool = False,
    ) -> tuple[Source, ...]:
        """One source per view for the next call of `site`; the same one where views share.

        Args:
            site: its name.
            shared: whether the views of the pass have one mask.
            device: where the mask is drawn.
            name: what sites that drop by one mask are called together; `site` where it has its own.
            once: whether all calls of the site within a pass have one mask.
        """
        current = self.current
        if torch.compiler.is_compiling():
            return self._traced_sources(site, shared, device, name, once)
        call = self._call(site, name, once)
        step, forward = self._time()
        label = name or site
        if shared or len(current.views) == 1:
            view = 0 if shared else current.views[0]
            return (self._source(label, view, call, step, forward, device),) * len(current.views)
        return tuple(self._source(label, v, call, step, forward, device) for v in current.views)

    def agree(self, name: str | None, site: str, sizes: tuple[int, ...], once: bool) -> None:
        """Raise `PlanError` where sites or calls that drop by one mask need several sizes."""
        if not torch.compiler.is_compiling() and in_backward():
            return
        call = 1 if once else self.current.calls.get(counter_of(site, name), 1)
        first, want = self.current.shared_sizes.setdefault(f"{call} {name or site}", (site, sizes))
        if sizes != want and (self.running or self.pass_is_set or not once):
            raise PlanError(
                f"sites of one rule cannot drop by one mask: they need masks of several sizes\n"
                f"  rule's sites: {name or site}\n"
                f"  {first} needs {want}\n  {site} needs {sizes}\n"
                "  write a rule for each size, or leave mask= and calls= out"
            )

    def noise_free_views(self) -> tuple[bool, ...]:
        """Say of each stacked view whether it runs without noise."""
        return tuple(view in self.current.noise_free for view in self.current.views)

    def restore_in_backward(self, tensors: list[Tensor]) -> None:
        """Come back to this pass when the backward pass reaches what it returned.

        Activation checkpointing runs layers again during backward. By then another pass may have
        begun; hooks on the outputs run before any of their layers, in the order that is needed.
        """
        if not self.current.may_run_again:
            return
        restore = None
        for tensor in tensors:
            if tensor.requires_grad:
                restore = restore or _Restore(self, self.current, *self._time())
                tensor.register_hook(restore)

    def check_restored(self) -> None:
        """Raise `NoiseError` where a forward of the root is run again and its pass is not known."""
        if self.restored_backward != checkpointing.backward():
            raise NoiseError(
                "the whole model is run again for backward, and which of its forwards is meant "
                "cannot be told, so its masks would not come back\n"
                "  torch.utils.checkpoint(model, ..., use_reentrant=False) tells it; or checkpoint "
                "the layers instead of the model"
            )

    def _time(self) -> tuple[int, int]:
        """The step and the call since then that the pass draws for."""
        current = self.current
        return self.clock.numbers if current.step is None else (current.step, current.call)

    def _source(
        self, name: str, view: int, call: int, step: int, forward: int, device: torch.device
    ) -> Source:
        key = self.keys.of(name, self.current.domain, view, call)
        return Source(key.fold(step, forward) if forward else key.fold(step), step, device, view)

    def _call(self, site: str, name: str | None, once: bool) -> int:
        """Count a call of the site, and return its number within the pass."""
        current, counter = self.current, counter_of(site, name)
        self.draw_counts[site] = self.draw_counts.get(site, 0) + 1
        if checkpointing.backward() != -1:
            return recomputed_call(counter, current)
        call = current.calls.get(counter, 0)
        # A part that is called by itself has no pass to hold a mask for.
        if once and call and (self.running or self.pass_is_set):
            return 0
        current.calls[counter] = call + 1
        current.places.setdefault(counter, []).append(checkpointing.place())
        current.may_run_again = current.may_run_again or checkpointing.may_run_again()
        return call

    def _traced_sources(
        self, site: str, shared: bool, device: torch.device, name: str | None, once: bool
    ) -> tuple[Source, ...]:
        """The same in code that is being compiled, where the clock is two tensors."""
        current, counter = self.current, counter_of(site, name)
        call = 0 if once else current.calls.get(counter, 0)
        current.calls[counter] = call + 1
        prefix, step, forward = self.keys.prefix(name or site), current.step, None
        if step is None:
            step, forward = self.clock.traced_numbers()
        elif current.call:
            forward = current.call
        last = (step,) if forward is None else (step, forward)
        return tuple(
            Source(prefix.fold(current.domain, view, call, *last), step, device, view)
            for view in ((0,) * len(current.views) if shared else current.views)
        )


class _Restore:
    """A hook of backward that brings a pass back, with the numbers that it drew for."""

    def __init__(self, noise: Noise, forward_pass: ForwardPass, step: int, call: int) -> None:
        self.noise, self.forward_pass = noise, forward_pass
        self.step, self.call = step, call

    def __call__(self, grad: Tensor) -> None:
        if self.forward_pass.step is None:
            self.forward_pass = replace(self.forward_pass, step=self.step, call=self.call)
        self.noise.current = self.forward_pass
        self.noise.restored_backward = checkpointing.backward()
