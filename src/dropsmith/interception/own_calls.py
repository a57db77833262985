"""The noisy torch calls that a module's own forward makes, and not those of the modules below it.

A torch function mode sees such calls. It is entered by hooks on the module that owns them and not
around the root, because activation checkpointing runs a block again outside the root. It is left
while a module below runs, and entered again where that module calls its owner.
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
"""Takes a noisy call, and runs it or something in its place."""


class CallMode(SeesFlex):
    """The context in which noisy torch calls go to a handle."""

    def __init__(self, handle: Handle) -> None:
        super().__init__()
        self.handle = handle

    def __torch_function__(
        self, func: Torch, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        call = decode(func, args, kwargs)
        return func(*args, **(kwargs or {})) if call is None else self.handle(call)


class OwnCalls(Attachment):
    """Hands each noisy torch call of one module's own forward to `handle`.

    Args:
        module: the module whose own forward makes the calls.
        handle: a function, picklable if the model is to be.
        should_watch: says whether a forward of the owner that begins is watched; one that is not
            runs as if nothing were attached. Without it every forward is watched.
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
        """Enter the mode that sees the calls, or leave it."""
        if active:
            _push_mode(self.mode)
            self.is_active = True
        elif _len_torch_function_stack():
            # It is not on the stack while it handles a call, which may run modules.
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
    """Take a mode off the stack, from below others; say whether it was there."""
    if not _len_torch_function_stack():
        return False
    top = _pop_mode()
    if top is mode:
        return True
    was_there = _remove_mode(mode)
    _push_mode(top)
    return was_there


def _calling_below(module: nn.Module) -> Iterator[nn.Module]:
    """The modules below that may make noisy calls of their own, or that modes keep from being fast.

    All depths, because an owner may call what is in a list, or reach past a child.
    """
    noisy = (_DropoutNd, nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoder)
    for inner in module.modules():
        torchs = type(inner).__module__.startswith("torch.nn.modules.")
        if inner is not module and (isinstance(inner, noisy) or not torchs):
            yield inner


class _Begin:
    """The hook before the forward of the owner, or of a module below it."""

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
    """The hook after that forward, which ended well or badly."""

    def __init__(self, calls: OwnCalls) -> None:
        self.calls = calls

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        calls = self.calls
        # A hook before ours may have failed, and then the forward was never begun.
        if calls.running and calls.running[-1][0] is module:
            _, active = calls.running.pop()
            if active != calls.is_active:
                calls.switch(active)
