"""The state of a model's noise: its clock, the pass that runs, and how often each site has drawn.

One `Noise` belongs to one root module and is shared by everything installed there.
"""

import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from operator import index
from threading import get_ident

import torch
from torch import Tensor, nn

from dropsmith.errors import NoiseError
from dropsmith.interception import checkpointing
from dropsmith.noise.clock import Clock
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.numbers import check_whole
from dropsmith.plans import Kind, Site

Observer = Callable[[str, Kind, Tensor, Tensor], None]
"""Takes a site's name and kind, and what it was given and returned."""


ATTRIBUTE = "_dropsmith_noise"

_KEPT_PASS = "_dropsmith_pass"

_DRAWS_OUTSIDE = 3
"""Draws of one site outside of the root's forward before a warning."""


class Noise:
    """The counters of one root module's noise; deep copies and pickles with the model."""

    def __init__(self, seed: int = 0, rank: int = 0) -> None:
        self.seed, self.rank = seed, rank
        self.clock = Clock()
        self.current = ForwardPass()
        self.pass_is_set = self.running = False
        self.thread = 0
        self.restored_backward = -1
        self.draw_counts: dict[str, int] = {}
        self.words: dict[str, int] = {}
        self.rules_checked = False
        self.observer: Observer | None = None
        self.weights_loaded = False
        self.draws_outside: Counter[str] = Counter()

    awaits_root = False
    """Whether a plan is on the root and none of its training forwards has begun yet."""

    @property
    def step(self) -> int:
        """The number of training forwards that have started; a resumed run sets it to go on."""
        return self.clock.numbers[0]

    @step.setter
    def step(self, value: int) -> None:
        value = index(value) if hasattr(value, "__index__") else value  # also of NumPy and torch
        check_whole("a step", value, 0, NoiseError)
        self.clock.set(value)
        self.weights_loaded = False

    @property
    def pass_step(self) -> int:
        """The training step that the pass which is running draws for, in eager code."""
        return self.clock.numbers_of(self.current)[0]

    def state_dict(self) -> dict[str, int]:
        """Return what a checkpoint has to carry, as for `accelerator.register_for_checkpointing`.

        >>> Noise().state_dict()
        {'step': 0}
        """
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from where `state_dict` was taken."""
        self.step = int(state["step"])

    def begin(self, training: bool, root: nn.Module | None = None) -> None:
        """A forward of the root starts: count it as a step if it trains, and draw afresh."""
        self.clock.begin(training, root)
        self.current = ForwardPass()

    @contextmanager
    def passing(self, forward_pass: ForwardPass) -> Iterator[None]:
        """Run the model under this pass, keeping its root hooks from starting another."""
        before = self.current, self.pass_is_set
        self.current, self.pass_is_set, self.thread = forward_pass, True, get_ident()
        try:
            yield
            overlaps = self.current is not forward_pass or self.thread != get_ident()
        finally:
            self.current, self.pass_is_set = before
        if overlaps:  # another thread began a forward in the moment before this pass
            raise _overlap_error()

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

    def warn_if_loaded(self) -> None:
        """Say once, as training begins, that nobody has said at which step it goes on."""
        if self.weights_loaded and self.step == 0:
            warnings.warn(
                "weights were loaded into a model whose step is 0: if this run goes on with "
                "another, its masks and schedules begin again\n  ds.step(model, number) says where "
                "it was; dropsmith.adapters has what carries it through a trainer's checkpoints",
                stacklevel=4,
            )
        self.weights_loaded = False

    def note_draw_outside(self, site: Site) -> None:
        """Say once that the step never moves, where parts of the root train and it is not called.

        Masks are drawn anew all the same, for calls are counted.
        """
        if not torch.is_grad_enabled():
            return
        self.draws_outside[site.name] += 1
        if self.draws_outside[site.name] != _DRAWS_OUTSIDE:
            return
        self.awaits_root = False  # said once
        part = site.owner.partition(".")[0]
        warnings.warn(
            "the step of this plan never moves: its model is not called, only parts of it "
            f"({part!r} for one); rates on a schedule stay as they are, and a resumed run repeats "
            "its masks\n  put the plan on the module that training calls, as in "
            "plan.install(model.net, batch), or call the model itself",
            stacklevel=2,
        )

    def active(self, training: bool) -> bool:
        """Say whether a site whose module has this training flag drops in this pass."""
        return training or self.current.sampling

    def noise_free_views(self) -> tuple[bool, ...]:
        """Say of each stacked view whether it runs without noise."""
        return tuple(view in self.current.noise_free for view in self.current.views)

    def keep_pass_with_part(self) -> None:
        """Keep this pass with the part of the forward that is running, should it be run again.

        By then another pass may have begun. Where torch shows which part it runs again, the pass
        comes back with that part, whatever the model returned.
        """
        checkpointing.attach_to_part(f"{_KEPT_PASS}_{id(self)}", self._numbered_pass())

    def _numbered_pass(self) -> ForwardPass:
        """The pass that is running, with the numbers that it draws for."""
        step, call = self.clock.numbers_of(self.current)
        return replace(self.current, step=step, call=call)

    def restore_pass_of_part(self) -> None:
        """Come back to the pass of the part that backward runs again, where it was kept."""
        forward_pass = checkpointing.value_of_part(f"{_KEPT_PASS}_{id(self)}")
        if forward_pass is not None:
            self.current = forward_pass

    def restore_in_backward(self, tensors: list[Tensor]) -> None:
        """Come back to this pass when the backward pass reaches what it returned.

        Activation checkpointing runs layers again during backward. By then another pass may have
        begun; hooks on the outputs run before any of their layers, in the order that is needed.
        """
        if not self.current.may_run_again:
            return
        restore = _Restore(self, self._numbered_pass())
        for tensor in tensors:
            if tensor.requires_grad:
                tensor.register_hook(restore)

    def check_thread(self, training: bool) -> None:
        """Raise `NoiseError` where another thread runs this model, whose noise is in that pass.

        Args:
            training: whether the model is in train mode; without noise its forwards may overlap.
        """
        is_busy = self.pass_is_set or (training and self.running)
        if not is_busy or self.thread == get_ident():
            return
        # A thread that was interrupted in a forward never said that it ended.
        if any(thread.ident == self.thread for thread in threading.enumerate()):
            raise _overlap_error()

    def check_restored(self) -> None:
        """Raise `NoiseError` where a forward of the root is run again and its pass is not known."""
        if self.restored_backward != checkpointing.backward():
            raise NoiseError(
                "the whole model is run again for backward, and which of its forwards is meant "
                "cannot be told, so its masks would not come back\n"
                "  torch.utils.checkpoint(model, ..., use_reentrant=False) tells it; or checkpoint "
                "the layers instead of the model"
            )


def _overlap_error() -> NoiseError:
    return NoiseError(
        "another thread is running this model, and both would draw from one state of its noise\n"
        "  dropsmith.predict may be called from many threads, which take turns; for anything else "
        "give each thread a copy of the model"
    )


class _Restore:
    """A hook of backward that brings a pass back."""

    def __init__(self, noise: Noise, forward_pass: ForwardPass) -> None:
        self.noise, self.forward_pass = noise, forward_pass

    def __call__(self, grad: Tensor) -> None:
        self.noise.current = self.forward_pass
        self.noise.restored_backward = checkpointing.backward()
