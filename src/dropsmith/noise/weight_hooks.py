"""Noise on a parameter, put there and taken off by hooks of its module."""

from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from dropsmith.interception import Attachment
from dropsmith.noise.site_noise import SiteNoise


class Weight(Attachment):
    """Noise on a parameter while its module runs; the parameter itself is never written.

    Hooks and parametrizations that make a weight out of the parameter (weight norm, spectral norm,
    pruning) see the dropped copy, too: the noise is on before any hook of theirs.
    """

    def __init__(self, module: nn.Module, site_noise: SiteNoise, name: str) -> None:
        super().__init__(module)
        self.site_noise, self.name = site_noise, name

    def attach(self) -> None:
        # A lazy layer has its parameter only after a hook of its own.
        parameter = self.module.get_parameter(self.name)
        first = not is_lazy(parameter)
        self.handles.append(self.module.register_forward_pre_hook(_Enter(self), prepend=first))
        self.handles.append(self.module.register_forward_hook(_Leave(self), always_call=True))

    def detach(self) -> None:
        # Torch runs no hook after a forward that was interrupted from the keyboard.
        self.leave(self.module)
        super().detach()

    def enter(self, module: nn.Module) -> None:
        """Let the module see a dropped copy under the parameter's name."""
        if not self.site_noise.noise.active(module.training):
            return
        noisy_weight = self.site_noise.weight(module._parameters[self.name])  # pyright: ignore
        # Attribute look-up finds the instance's own dictionary before the parameters.
        module.__dict__[self.name] = noisy_weight
        _set_flat(module, self.name, noisy_weight)

    def leave(self, module: nn.Module) -> None:
        """Let the module see its parameter again."""
        if module.__dict__.pop(self.name, None) is not None:
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


def _set_flat(module: nn.Module, name: str, weight: Any) -> None:
    """Let a recurrent layer's list of weights hold `weight`, where it holds the parameter."""
    if isinstance(module, nn.RNNBase) and name in module._flat_weights_names:
        module._flat_weights[module._flat_weights_names.index(name)] = weight
