"""How noise gets to a parameter, and how it comes off."""

from typing import Any

from torch import nn

from dropsmith.interception import Attachment
from dropsmith.noise.site_noise import SiteNoise


class Weight(Attachment):
    """Noise on a parameter while its module runs; the parameter itself is never written."""

    def __init__(self, module: nn.Module, drawn: SiteNoise, name: str) -> None:
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


def _set_flat(module: nn.RNNBase, name: str, weight: Any) -> None:
    index = module._flat_weights_names.index(name)
    module._flat_weights[index] = weight
