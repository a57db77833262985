"""How noise gets to a site: picklable hooks on the module that owns it, and how it comes off.

An attachment changes nothing else of the module, or remembers what it changed. Hooks are objects
rather than functions so that a model with noise can be pickled and deep-copied.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dropsmith.errors import SiteError
from dropsmith.sites.drawn import Drawn


class Attachment(ABC):
    """Noise at one site of one module, until it is detached."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.handles: list[RemovableHandle] = []

    @abstractmethod
    def attach(self) -> None:
        """Put the noise on."""

    def detach(self) -> None:
        """Take the noise off and leave the module as it was."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def returning(self) -> Callable[[], None]:
        """What puts back, after `detach`, whatever is not a hook, just as it is now."""
        return _nothing


def _nothing() -> None: ...


class Output(Attachment):
    """Noise on what a module returns: the tensor, or the first of a tuple."""

    def __init__(self, module: nn.Module, drawn: Drawn) -> None:
        super().__init__(module)
        self.drawn = drawn

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_hook(self))

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        if not self.drawn.noise.active(module.training):
            return None
        first = _first(output, self.drawn.site.name)
        return _with_first(output, self.drawn.drop(first, module))


class Input(Attachment):
    """Noise on the first argument of a module."""

    def __init__(self, module: nn.Module, drawn: Drawn) -> None:
        super().__init__(module)
        self.drawn = drawn

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(self, with_kwargs=True))

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.drawn.noise.active(module.training):
            return None
        if args and isinstance(args[0], Tensor):
            return (self.drawn.drop(args[0], module), *args[1:]), kwargs
        for name, value in kwargs.items():
            if isinstance(value, Tensor) and value.is_floating_point():
                return args, kwargs | {name: self.drawn.drop(value, module)}
        raise SiteError(f"site {self.drawn.site.name!r} was given no tensor to drop")


class Word(Attachment):
    """Noise on the rows of an embedding, by word type."""

    def __init__(self, module: nn.Module, drawn: Drawn) -> None:
        super().__init__(module)
        self.drawn = drawn

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_hook(self, with_kwargs=True))

    def __call__(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        if not self.drawn.noise.active(module.training):
            return None
        ids = args[0] if args else next(iter(kwargs.values()))
        return self.drawn.words(output, ids)


class Weight(Attachment):
    """Noise on a parameter while its module runs; the parameter itself is never written."""

    def __init__(self, module: nn.Module, drawn: Drawn, name: str) -> None:
        super().__init__(module)
        self.drawn, self.name = drawn, name

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(_Enter(self)))
        self.handles.append(self.module.register_forward_hook(_Leave(self), always_call=True))

    def enter(self, module: nn.Module) -> None:
        """Let the module see a dropped copy under the parameter's name."""
        if not self.drawn.noise.active(module.training):
            return
        dropped = self.drawn.weight(module._parameters[self.name])  # pyright: ignore
        # Attribute look-up finds the instance's own dictionary before the parameters.
        module.__dict__[self.name] = dropped
        if isinstance(module, nn.RNNBase):
            _set_flat(module, self.name, dropped)

    def leave(self, module: nn.Module) -> None:
        """Let the module see its parameter again."""
        if module.__dict__.pop(self.name, None) is not None and isinstance(module, nn.RNNBase):
            _set_flat(module, self.name, module._parameters[self.name])


class _Enter:
    def __init__(self, attachment: Weight) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any) -> None:
        self.attachment.enter(module)


class _Leave:
    def __init__(self, attachment: Weight) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        self.attachment.leave(module)


class Retuned(Attachment):
    """A rate the model declares, set to another while the plan is installed.

    While sampling in eval mode the module itself, and nothing below it, is put in train mode.
    """

    def __init__(self, module: nn.Module, drawn: Drawn, attribute: str, rate: float) -> None:
        super().__init__(module)
        self.drawn, self.attribute, self.rate = drawn, attribute, rate
        self.before: float | None = None
        self.woken = False

    def attach(self) -> None:
        self.before = getattr(self.module, self.attribute)
        setattr(self.module, self.attribute, self.rate)
        if self.rate:
            self.handles.append(self.module.register_forward_pre_hook(_Wake(self)))
            self.handles.append(self.module.register_forward_hook(_Sleep(self), always_call=True))

    def detach(self) -> None:
        super().detach()
        setattr(self.module, self.attribute, self.before)

    def returning(self) -> Callable[[], None]:
        return partial(setattr, self.module, self.attribute, getattr(self.module, self.attribute))


class _Wake:
    def __init__(self, attachment: Retuned) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any) -> None:
        noise = self.attachment.drawn.noise
        if not torch.compiler.is_compiling():
            site = self.attachment.drawn.site.name
            noise.fired[site] = noise.fired.get(site, 0) + 1
        if noise.current.sampling and not module.training:
            module.training, self.attachment.woken = True, True


class _Sleep:
    def __init__(self, attachment: Retuned) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.attachment.woken:
            module.training, self.attachment.woken = False, False


class Keyed(Attachment):
    """A dropout module whose own draw is replaced by ours.

    Its rate is zero only while it runs: where another module reads the rate instead of calling,
    as fused attention in Hugging Face models does, the noise there must not vanish.
    """

    def __init__(self, module: nn.Module, drawn: Drawn) -> None:
        super().__init__(module)
        self.output = Output(module, drawn)
        self.before: list[float] = []

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(_Hush(self)))
        self.output.attach()
        self.handles.append(self.module.register_forward_hook(_Speak(self), always_call=True))

    def detach(self) -> None:
        self.output.detach()
        super().detach()


class _Hush:
    def __init__(self, attachment: Keyed) -> None:
        self.attachment = attachment

    def __call__(self, module: Any, args: Any) -> None:
        self.attachment.before.append(module.p)
        module.p = 0.0


class _Speak:
    def __init__(self, attachment: Keyed) -> None:
        self.attachment = attachment

    def __call__(self, module: Any, args: Any, output: Any) -> None:
        if self.attachment.before:
            module.p = self.attachment.before.pop()


def _set_flat(module: nn.RNNBase, name: str, weight: Any) -> None:
    index = module._flat_weights_names.index(name)
    module._flat_weights[index] = weight


def _first(output: Any, site: str) -> Tensor:
    first = output
    if isinstance(output, Mapping) and output:
        first = next(iter(output.values()))
    elif isinstance(output, tuple | list) and output:
        first = output[0]
    if isinstance(first, Tensor):
        return first
    raise SiteError(
        f"site {site!r} returned a {type(output).__name__} without a leading tensor to drop\n"
        "  choose the module inside it whose output is the tensor"
    )


def _with_first(output: Any, first: Tensor) -> Any:
    if isinstance(output, Tensor):
        return first
    if isinstance(output, Mapping):
        changed = output.copy()  # pyright: ignore[reportAttributeAccessIssue]
        changed[next(iter(output))] = first
        return changed
    if hasattr(output, "_fields"):
        return output._replace(**{output._fields[0]: first})
    return type(output)((first, *output[1:]))
