"""A trace of a forward: the modules that run, and the noisy torch calls that each makes itself."""

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
    """Notes taken while a model runs, for the length of `with trace.running(model)`.

    A subclass notes the calls; it may note modules, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, nn.Module]] = []

    @property
    def name(self) -> str:
        """The name of the module that runs now; empty for the root."""
        return self.stack[-1][0]

    @property
    def module(self) -> nn.Module:
        """The module that runs now."""
        return self.stack[-1][1]

    @abstractmethod
    def call(self, call: NoisyCall) -> Any:
        """Run a noisy call of the module that runs now, and return what it returns."""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The module that runs now begins with these arguments."""

    def end(self, output: Any) -> None:
        """The module that runs now ends with this output, which is None where it has failed."""

    @contextmanager
    def running(self, model: nn.Module) -> Iterator[None]:
        """Trace what the model does in the block, none of it compiled or fused by torch's layers.

        What a compiler or a fused layer runs shows neither its modules nor its calls.
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
            # A hook before ours may have failed, and then the module was never begun.
            if self.stack and self.stack[-1][1] is m:
                self.end(output)
                self.stack.pop()

        return (
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after, always_call=True),
        )


def has_compiled_parts(model: nn.Module) -> bool:
    """Say whether the model or a module of it was compiled."""
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
    """Run torch's Transformer layers part by part in the block, so that hooks and modes see them.

    An encoder that is given padding would otherwise hand its layers nested tensors, which they
    take on their fused path alone.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
