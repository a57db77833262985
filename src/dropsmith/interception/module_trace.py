"""A trace of the modules that run in a forward."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from torch import nn


class Watcher(Protocol):
    """Is told as the modules of a model begin and end."""

    def enter(self, name: str, module: nn.Module) -> None:
        """A module of this name begins."""
        ...

    def given(self, args: Any, kwargs: Any) -> None:
        """What it was handed."""
        ...

    def leave(self, name: str, output: Any) -> None:
        """It ends, whether it returned this or failed."""
        ...


@contextmanager
def watched(model: nn.Module, trace: Watcher) -> Iterator[None]:
    """Tell `trace` of every module that runs in here."""
    handles = []
    for name, module in model.named_modules():

        def before(m: nn.Module, args: Any, kwargs: Any, *, name: str = name) -> None:
            trace.enter(name, m)
            trace.given(args, kwargs)

        def after(m: nn.Module, args: Any, output: Any, *, name: str = name) -> None:
            trace.leave(name, output)

        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(after, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
