"""The torch calls that a module's own forward makes, and not those of the modules below it.

A torch function mode sees such calls. It is entered by hooks on the module that owns them and not
around the root, because activation checkpointing runs a block again outside the root. The mode
looks away while a module below runs.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropsmith.interception.attachment import Attachment

Torch = Callable[..., Any]


Handle = Callable[[Torch, tuple[Any, ...], Mapping[str, Any]], Any]
"""Takes a torch function and its arguments, and runs it or something in its place."""


class OwnCalls(Attachment):
    """Hands each torch call of one module's own forward to `handle`.

    Args:
        module: the module whose own forward makes the calls.
        handle: a function, picklable if the model is to be.
    """

    def __init__(self, module: nn.Module, handle: Handle) -> None:
        super().__init__(module)
        self.handle = handle
        self.modes: list[CallMode] = []
        self.away = 0

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(_Open(self)))
        self.handles.append(self.module.register_forward_hook(_Close(self), always_call=True))
        for inner in _calling_below(self.module):
            self.handles.append(inner.register_forward_pre_hook(_LookAway(self)))
            self.handles.append(inner.register_forward_hook(_LookBack(self), always_call=True))

    def open(self) -> None:
        """The owner's forward starts."""
        mode = CallMode(self)
        mode.__enter__()
        self.modes.append(mode)

    def close(self) -> None:
        """The owner's forward ends, well or badly."""
        # A hook before ours may have failed, and then the forward was never opened.
        if self.modes:
            self.modes.pop().__exit__(None, None, None)
        if not self.modes:
            self.away = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"modes": [], "away": 0}


class CallMode(TorchFunctionMode):
    """The context in which calls go to their owner's `handle`."""

    def __init__(self, own: OwnCalls) -> None:
        super().__init__()
        self.own = own

    def __torch_function__(
        self, func: Torch, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if self.own.away:
            return func(*args, **(kwargs or {}))
        return self.own.handle(func, args, kwargs or {})


def _calling_below(module: nn.Module) -> list[nn.Module]:
    """The modules below that may make noisy calls of their own.

    All depths, because an owner may call what is in a list, or reach past a child.
    """
    noisy = (_DropoutNd, nn.RNNBase, nn.MultiheadAttention)
    return [
        inner
        for inner in module.modules()
        if inner is not module
        and (isinstance(inner, noisy) or not type(inner).__module__.startswith("torch.nn.modules."))
    ]


class _Open:
    def __init__(self, own: OwnCalls) -> None:
        self.own = own

    def __call__(self, module: nn.Module, args: Any) -> None:
        self.own.open()


class _Close:
    def __init__(self, own: OwnCalls) -> None:
        self.own = own

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        self.own.close()


class _LookAway:
    def __init__(self, own: OwnCalls) -> None:
        self.own = own

    def __call__(self, module: nn.Module, args: Any) -> None:
        self.own.away += 1


class _LookBack:
    def __init__(self, own: OwnCalls) -> None:
        self.own = own

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        self.own.away -= 1
