"""The noisy torch calls in a module's own forward, without those of its submodules.

A torch function mode sees such calls. Hooks on the module enter it, not hooks on the root, because
activation checkpointing runs a block again outside the root. The mode is left while a submodule
runs, and entered again if that submodule calls the module.
"""

import sys
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn
from torch._C import _len_torch_function_stack
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode

from dropsmith.interception.attachment import Attachment
from dropsmith.interception.flex_attention import FLEX_MODULE, SeesFlex, update_flex_visibility
from dropsmith.interception.signatures import Torch
from dropsmith.interception.torch_ops import NoisyCall, decode

Handle = Callable[[NoisyCall], Any]
"""Runs a noisy call, or something in its place."""


class CallMode(SeesFlex):
    """A torch function mode that passes noisy calls to a handle."""

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self.handle = handle

    def __torch_function__(
        self, func: Torch, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        call = decode(func, args, kwargs)
        return func(*args, **(kwargs or {})) if call is None else self.handle(call)


class OwnCalls(Attachment):
    """Passes each noisy torch call in one module's own forward to `handle`.

    Args:
        module: the module with the calls.
        handle: a function; picklable if the model must be.
        should_watch: says at the start of a forward whether its calls are passed on; None for
            every forward.
    """

    def __init__(
        self,
        module: nn.Module,
        handle: Handle,
        should_watch: Callable[[nn.Module], bool] | None = None,
    ) -> None:
        super().__init__(module)
        self.handle, self.should_watch = handle, should_watch
        self.mode = CallMode(handle)
        self._reset()

    def _reset(self) -> None:
        self.running: list[tuple[nn.Module, bool]] = []
        self.is_active = False

    def attach(self) -> None:
        for module in (self.module, *_calling_below(self.module)):
            self.handles.append(module.register_forward_pre_hook(_Begin(self)))
            self.handles.append(module.register_forward_hook(_End(self), always_call=True))

    def switch(self, active: bool) -> None:
        """Enter or leave the mode that sees the calls."""
        if active:
            _push_mode(self.mode)
            self.is_active = True
        elif _len_torch_function_stack():
            # The mode is not on the stack during a call, which may run modules.
            top = _pop_mode()
            self.is_active = top is not self.mode
            if self.is_active:
                self.is_active = not _remove_mode(self.mode)
                _push_mode(top)
        if FLEX_MODULE in sys.modules:
            update_flex_visibility()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"running": [], "is_active": False}


def _remove_mode(mode: TorchFunctionMode) -> bool:
    """Remove a mode from the stack, also from below others; say whether it was there."""
    if not _len_torch_function_stack():
        return False
    top = _pop_mode()
    if top is mode:
        return True
    was_there = _remove_mode(mode)
    _push_mode(top)
    return was_there


def _calling_below(module: nn.Module) -> Iterator[nn.Module]:
    """The submodules that may make noisy calls, or that a mode would slow down.

    They are of all depths, because a module may call those of a list, or those inside a child.
    """
    noisy = (_DropoutNd, nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoder)
    for inner in module.modules():
        torchs = type(inner).__module__.startswith("torch.nn.modules.")
        if inner is not module and (isinstance(inner, noisy) or not torchs):
            yield inner


class _Begin:
    """The hook before the forward of the module or of a submodule."""

    def __init__(self, calls: OwnCalls) -> None:
        self.calls = calls

    def __call__(self, module: nn.Module, args: Any) -> None:
        calls = self.calls
        calls.running.append((module, calls.is_active))
        active = module is calls.module
        if active and calls.should_watch is not None:
            active = calls.should_watch(module)
        if active != calls.is_active:
            calls.switch(active)


class _End:
    """The hook after that forward, also after an error."""

    def __init__(self, calls: OwnCalls) -> None:
        self.calls = calls

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        calls = self.calls
        # If an earlier hook failed, the forward never began.
        if calls.running and calls.running[-1][0] is module:
            _, active = calls.running.pop()
            if active != calls.is_active:
                calls.switch(active)
