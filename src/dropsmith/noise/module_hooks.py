"""Noise on what a module takes and returns, by hooks."""

from typing import Any

from torch import Tensor, nn

from dropsmith.batches import leading_tensor, with_leading_tensor
from dropsmith.errors import SiteError
from dropsmith.interception import Attachment
from dropsmith.noise.site_noise import SiteNoise


class Output(Attachment):
    """Noise on what a module returns: the tensor, or the first of a tuple."""

    def __init__(self, module: nn.Module, site_noise: SiteNoise) -> None:
        super().__init__(module)
        self.site_noise = site_noise

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_hook(self))

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        if not self.site_noise.noise.active(module.training):
            return None
        if isinstance(output, Tensor):
            return self.site_noise.drop(output, module)
        first = leading_tensor(output, self.site_noise.site.name)
        return with_leading_tensor(output, self.site_noise.drop(first, module))


class Input(Attachment):
    """Noise on the first argument of a module."""

    def __init__(self, module: nn.Module, site_noise: SiteNoise) -> None:
        super().__init__(module)
        self.site_noise = site_noise

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(self, with_kwargs=True))

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not self.site_noise.noise.active(module.training):
            return None
        if args and isinstance(args[0], Tensor):
            return (self.site_noise.drop(args[0], module), *args[1:]), kwargs
        for name, value in kwargs.items():
            if isinstance(value, Tensor) and value.is_floating_point():
                return args, kwargs | {name: self.site_noise.drop(value, module)}
        raise SiteError(f"site {self.site_noise.site.name!r} was given no tensor to drop")


class Word(Attachment):
    """Noise on the rows of an embedding, by word type."""

    def __init__(self, module: nn.Module, site_noise: SiteNoise) -> None:
        super().__init__(module)
        self.site_noise = site_noise

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_hook(self, with_kwargs=True))

    def __call__(self, module: nn.Module, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        if not self.site_noise.noise.active(module.training):
            return None
        ids = args[0] if args else next(iter(kwargs.values()))
        return self.site_noise.words(output, ids)
