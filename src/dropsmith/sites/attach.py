"""How noise gets to a site: picklable hooks on the module that owns it, and how it comes off.

An attachment changes nothing else of the module, or remembers what it changed. Hooks are objects
rather than functions so that a model with noise can be pickled and deep-copied.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dropsmith.errors import SiteError
from dropsmith.sites.drawn import Drawn
from dropsmith.sites.leading import first_of, with_first


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
        first = first_of(output, self.drawn.site.name)
        return with_first(output, self.drawn.drop(first, module))


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
