"""How noise gets to dropout that a model declares, and how it comes off."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from dropsmith.interception import Attachment
from dropsmith.noise.module_hooks import Output
from dropsmith.noise.site_noise import SiteNoise


class RetunedRate(Attachment):
    """A rate the model declares, set to another while the plan is installed.

    While sampling in eval mode the module itself, and nothing below it, is put in train mode.
    """

    def __init__(self, module: nn.Module, drawn: SiteNoise, attribute: str, rate: float) -> None:
        super().__init__(module)
        self.drawn, self.attribute, self.rate = drawn, attribute, rate
        self.before: float | None = None
        self.woken = False

    def attach(self) -> None:
        self.before = getattr(self.module, self.attribute)
        setattr(self.module, self.attribute, self.rate)
        if self.rate:
            self.handles.append(self.module.register_forward_pre_hook(_EnterTrain(self)))
            self.handles.append(
                self.module.register_forward_hook(_LeaveTrain(self), always_call=True)
            )

    def detach(self) -> None:
        super().detach()
        setattr(self.module, self.attribute, self.before)

    def returning(self) -> Callable[[], None]:
        return partial(setattr, self.module, self.attribute, getattr(self.module, self.attribute))


class _EnterTrain:
    def __init__(self, attachment: RetunedRate) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any) -> None:
        noise = self.attachment.drawn.noise
        if not torch.compiler.is_compiling():
            site = self.attachment.drawn.site.name
            noise.draw_counts[site] = noise.draw_counts.get(site, 0) + 1
        if noise.current.sampling and not module.training:
            module.training, self.attachment.woken = True, True


class _LeaveTrain:
    def __init__(self, attachment: RetunedRate) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.attachment.woken:
            module.training, self.attachment.woken = False, False


class KeyedDropout(Attachment):
    """A dropout module whose own draw is replaced by ours.

    Its rate is zero only while it runs: where another module reads the rate instead of calling,
    as fused attention in Hugging Face models does, the noise there must not vanish.
    """

    def __init__(self, module: nn.Module, drawn: SiteNoise) -> None:
        super().__init__(module)
        self.output = _DroppedOutput(module, drawn)
        self.before: list[float] = []

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(_DisableRate(self)))
        self.output.attach()
        self.handles.append(self.module.register_forward_hook(_RestoreRate(self), always_call=True))

    def detach(self) -> None:
        self.output.detach()
        super().detach()


class _DroppedOutput(Output):
    """Noise on what a dropout module returns, in place where the module drops in place."""

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        dropped = super().__call__(module, args, output)
        return dropped if dropped is None or not module.inplace else output.copy_(dropped)


class _DisableRate:
    def __init__(self, attachment: KeyedDropout) -> None:
        self.attachment = attachment

    def __call__(self, module: Any, args: Any) -> None:
        self.attachment.before.append(module.p)
        module.p = 0.0


class _RestoreRate:
    def __init__(self, attachment: KeyedDropout) -> None:
        self.attachment = attachment

    def __call__(self, module: Any, args: Any, output: Any) -> None:
        if self.attachment.before:
            module.p = self.attachment.before.pop()
