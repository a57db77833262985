"""The clock of a model's noise: how many training forwards have begun, and how many others since.

Hooks on the root advance it, before anything in the model draws.

Eager code counts in Python integers. Compiled and exported code reads and advances two tensors, so
that it is not compiled again as training goes on; both hold the same numbers.
"""

from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dropsmith.batches import tensors_in
from dropsmith.interception import checkpointing
from dropsmith.noise.forward_pass import ForwardPass
from dropsmith.transforms import transforms_active

if TYPE_CHECKING:
    from dropsmith.noise.state import Noise

STEP, CALL = "_dropsmith_step", "_dropsmith_call"
"""The root's buffers with the two numbers: in no state dict, and `torch.export` lifts them."""


class Clock:
    """The two numbers that every mask depends on beside its site, view and call.

    A training forward of the root advances `step` and sets `call` to 0. Any other forward advances
    `call` alone: a Monte-Carlo loop over a model in eval mode draws anew each time, and the masks
    of training do not depend on how often a model is evaluated.
    """

    def __init__(self) -> None:
        with torch.inference_mode(False):
            self.tensors = tuple(torch.zeros((), dtype=torch.int32) for _ in range(2))
        self.training = True
        self._numbers: tuple[int, int] | None = (0, 0)
        self._behind = False
        self._root_numbers = (-1, -1)
        self._export_buffers: tuple[Tensor, ...] | None = None

    @property
    def numbers(self) -> tuple[int, int]:
        """The training forwards so far, and the other forwards since the last of them."""
        if self._numbers is None:
            step, call = self.tensors
            self._numbers = int(step), int(call)
        return self._numbers

    def numbers_of(self, forward_pass: ForwardPass) -> tuple[int, int]:
        """The numbers that a pass draws for: its own where it names a step, else the clock's."""
        if forward_pass.step is not None:
            return forward_pass.step, forward_pass.call
        return self._numbers or self.numbers

    def set(self, step: int, call: int = 0) -> None:
        """Go on from these numbers."""
        before = None if self._behind else self._numbers
        self._numbers, self._export_buffers = (step, call), None
        # A transform of `torch.func` lets nobody write to a tensor from outside of it.
        self._behind = transforms_active()
        if self._behind:
            return
        if before is None or before[0] != step:
            self.tensors[0].fill_(step)
        if before is None or before[1] != call:
            self.tensors[1].fill_(call)

    def begin(self, training: bool, root: nn.Module | None = None) -> None:
        """A forward of the root starts."""
        self.training = training
        if torch.compiler.is_compiling():
            self._begin_traced(training, root)
            return
        step, call = self._numbers or self.numbers
        self.set(step + 1 if training else step, 0 if training else call + 1)
        if root is not None and root._buffers.get(STEP) is not self.tensors[0]:
            self._copy_to(root)

    def traced_numbers(self) -> tuple[Tensor, Tensor | None]:
        """The numbers as tensors, for code that is being compiled; no call in a training step."""
        step, call = self.tensors if self._export_buffers is None else self._export_buffers
        return step, None if self.training else call

    def register(self, root: nn.Module) -> None:
        """Hang the numbers on a root, where `torch.export` looks for tensors.

        They lie where its parameters do: what sends buffers to other processes sends them, too.
        """
        device = next((parameter.device for parameter in root.parameters()), None)
        for name, tensor in zip((STEP, CALL), self.tensors, strict=True):
            root.register_buffer(name, tensor.to(device), persistent=False)
        self._root_numbers = (-1, -1)

    def leave(self) -> None:
        """A forward of the root ends."""
        self._export_buffers = None

    def _begin_traced(self, training: bool, root: nn.Module | None) -> None:
        if root is not None and torch.compiler.is_exporting() and STEP in root._buffers:
            # An exported program advances its own buffers, and the clock stays as it is.
            self._export_buffers = root.get_buffer(STEP), root.get_buffer(CALL)
        step, call = self.tensors if self._export_buffers is None else self._export_buffers
        if training:
            step.add_(1)
            call.zero_()
        else:
            call.add_(1)
        if self._export_buffers is None:
            self._numbers = None

    def _copy_to(self, root: nn.Module) -> None:
        """Tell the root's buffers, which are other tensors once it was moved to a device."""
        buffers = root._buffers
        if self._behind:
            return
        numbers = zip((STEP, CALL), self.numbers, self._root_numbers, strict=True)
        for name, number, root_number in numbers:
            if number != root_number and (buffer := buffers.get(name)) is not None:
                buffer.fill_(number)
        self._root_numbers = self.numbers


def unregister(root: nn.Module) -> None:
    """Take the numbers off a root."""
    for name in (STEP, CALL):
        root._buffers.pop(name, None)
        root._non_persistent_buffers_set.discard(name)


class EnterRoot:
    """The hook before the root's forward: a pass begins."""

    def __init__(self, noise: "Noise") -> None:
        self.noise = noise

    def __call__(self, module: nn.Module, args: Any) -> None:
        noise, compiling = self.noise, torch.compiler.is_compiling()
        if not compiling:
            thread = get_ident()
            if noise.thread != thread:
                noise.check_thread(module.training)
            noise.thread = thread
        noise.running = True
        if noise.pass_is_set:
            return
        # Compiled code does not run a checkpointed block by its hooks again.
        if not compiling:
            if checkpointing.backward() != -1:
                if module.training:
                    noise.check_restored()
                return
            if noise.weights_loaded and module.training:
                noise.warn_if_loaded()
        noise.clock.begin(module.training, module)
        noise.current = ForwardPass()
        if module.training and not compiling:
            noise.awaits_root = False


class LeaveRoot:
    """The hook after the root's forward, also after one that failed.

    Args:
        noise: the state of the model's noise.
        check_rules: takes the root, and raises an error for a rule that never ran.
    """

    def __init__(self, noise: "Noise", check_rules: Callable[[nn.Module], None]) -> None:
        self.noise, self.check_rules = noise, check_rules

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        noise = self.noise
        if not torch.compiler.is_compiling() and noise.thread != get_ident():
            return  # a forward of another thread has begun, or this one was refused beside it
        noise.running = False
        # What runs in compiled code is not counted, and is not run again but compiled for backward.
        if torch.compiler.is_compiling():
            noise.clock.leave()
            return
        if output is None or checkpointing.backward() != -1:
            return
        if not noise.rules_checked and noise.active(module.training):
            self.check_rules(module)
            noise.rules_checked = True
        if noise.current.may_run_again and torch.is_grad_enabled():
            noise.restore_in_backward(tensors_in(output))
