"""A trace of a forward: the modules that run, and the noisy torch calls of each."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.interception.flex_attention import SeesFlex
from dropsmith.interception.signatures import Torch
from dropsmith.interception.torch_ops import NoisyCall, decode


class ModuleTrace(SeesFlex, ABC):
    """Methods that are called while a model runs in `with trace.running(model)`.

    A subclass defines `call`, and may define `begin` and `end`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, nn.Module]] = []

    @property
    def name(self) -> str:
        """The name of the running module; empty for the root."""
        return self.stack[-1][0]

    @property
    def module(self) -> nn.Module:
        """The running module."""
        return self.stack[-1][1]

    @abstractmethod
    def call(self, call: NoisyCall) -> Any:
        """Run a noisy call of the running module, and return its result."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Called when the running module begins, with its arguments."""

    def end(self, output: Any) -> None:
        """Called when the running module ends, with its output, or None after an error."""

    @contextmanager
    def running(self, model: nn.Module) -> Iterator[None]:
        """Trace the model in the block, with compilation and torch's fused layers off.

        Compiled code and fused layers would hide their modules and calls.
        """
        handles = [
            handle for name, module in model.named_modules() for handle in self._on(name, module)
        ]
        try:
            with compiler_off(), fast_path_disabled(), self:
                yield
        finally:
            for handle in handles:
                handle.remove()
            self.stack.clear()

    def __torch_function__(
        self, func: Torch, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        call = decode(func, args, kwargs) if self.stack else None
        return func(*args, **(kwargs or {})) if call is None else self.call(call)

    def _on(self, name: str, module: nn.Module) -> tuple[RemovableHandle, ...]:
        def before(m: nn.Module, args: Any, kwargs: Any) -> None:
            self.stack.append((name, m))
            self.begin(args, kwargs)

        def after(m: nn.Module, args: Any, output: Any) -> None:
            # If an earlier hook failed, the module never began.
            if self.stack and self.stack[-1][1] is m:
                self.end(output)
                self.stack.pop()

        return (
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after, always_call=True),
        )


def has_compiled_parts(model: nn.Module) -> bool:
    """Say whether the model or one of its modules was compiled."""
    return any(
        hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )


@contextmanager
def compiler_off() -> Iterator[None]:
    """Run nothing compiled in the block.

    Loading torch's compiler takes seconds. Where it is not loaded nothing is compiled, and only
    what compiles in the block loads it.
    """
    with ExitStack() as stack:
        if _compiler_is_loaded():
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield
            return
        compile_of_torch = torch.compile

        def compile_eagerly(*args: Any, **kwargs: Any) -> Any:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            return compile_of_torch(*args, **kwargs)

        stack.callback(setattr, torch, "compile", compile_of_torch)
        torch.compile = compile_eagerly
        yield


def _compiler_is_loaded() -> bool:
    return "torch._dynamo" in sys.modules


@contextmanager
def fast_path_disabled() -> Iterator[None]:
    """Turn off the fast path of torch's Transformer layers in the block, which hides their parts.

    Otherwise an encoder with padding passes nested tensors to its layers, which only the fast path
    supports.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
