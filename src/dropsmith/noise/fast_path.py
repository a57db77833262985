"""Torch's Transformer encoder under a plan: fused where nothing drops, part by part where it does.

An encoder that evaluates with padding hands its layers nested tensors. Hooks inside it keep the
layers from their fused path, and attention that is drawn by us takes no nested tensors.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.interception import Attachment, DetachedHooks
from dropsmith.noise.state import Noise


def keep_fast_path(
    model: nn.Module, noise: Noise, attachments: Iterable[Attachment]
) -> list[RemovableHandle]:
    """Hook each encoder of torch's in which something is attached."""
    handles = [handle for attachment in attachments for handle in _handles(attachment)]
    encoders = (module for module in model.modules() if isinstance(module, nn.TransformerEncoder))
    encoder_handles: list[RemovableHandle] = []
    for encoder in encoders:
        if inner := [handle for handle in handles if _is_inside(handle, encoder)]:
            encoder_handles += _EncoderPath(noise, inner).attach(encoder)
    return encoder_handles


class _EncoderPath:
    """The path of one encoder.

    Args:
        noise: of the model.
        inner: our hooks inside the encoder.
    """

    def __init__(self, noise: Noise, inner: list[RemovableHandle]) -> None:
        self.noise, self.inner = noise, inner
        self.detached_hooks: list[DetachedHooks] = []
        self.fast_path_off = False

    def attach(self, encoder: nn.TransformerEncoder) -> list[RemovableHandle]:
        return [
            encoder.register_forward_pre_hook(_Enter(self)),
            encoder.register_forward_hook(_Leave(self), always_call=True),
        ]

    def enter(self, encoder: nn.TransformerEncoder) -> None:
        """Turn the fused path off where something drops; else take our hooks out of its way."""
        if torch.compiler.is_compiling() or encoder.layers[0].training:
            return  # torch itself takes no fused path
        if self.noise.current.sampling or any(module.training for module in encoder.modules()):
            self.fast_path_off = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
        elif not torch.is_grad_enabled() and _hooks_in(encoder) == len(self.inner):
            self.detached_hooks.append(DetachedHooks(self.inner))

    def leave(self) -> None:
        """Put back what `enter` has changed."""
        if self.fast_path_off:
            torch.backends.mha.set_fastpath_enabled(True)
            self.fast_path_off = False
        while self.detached_hooks:
            self.detached_hooks.pop().reattach()


class _Enter:
    def __init__(self, path: _EncoderPath) -> None:
        self.path = path

    def __call__(self, module: Any, args: Any) -> None:
        self.path.enter(module)


class _Leave:
    def __init__(self, path: _EncoderPath) -> None:
        self.path = path

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        self.path.leave()


def _handles(attachment: Attachment) -> Iterator[RemovableHandle]:
    yield from attachment.handles
    for part in vars(attachment).values():
        if isinstance(part, Attachment):
            yield from _handles(part)


def _is_inside(handle: RemovableHandle, encoder: nn.Module) -> bool:
    hooks = handle.hooks_dict_ref()
    return any(hooks is entry for module in _parts(encoder) for entry in _dictionaries(module))


def _hooks_in(encoder: nn.Module) -> int:
    return sum(len(hooks) for module in _parts(encoder) for hooks in _dictionaries(module))


def _parts(encoder: nn.Module) -> list[nn.Module]:
    return [module for module in encoder.modules() if module is not encoder]


def _dictionaries(module: nn.Module) -> tuple[Any, Any]:
    return module._forward_hooks, module._forward_pre_hooks
