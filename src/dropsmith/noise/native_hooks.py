"""Rules on a model's own dropout: another rate, or masks drawn from keys."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.batches import leading_tensor, with_leading_tensor
from dropsmith.interception import Attachment
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.noise.skipping import set_rate


class RetunedRate(Attachment):
    """A rate the model declares, set to another while the plan is installed.

    While sampling in eval mode the module itself, and nothing below it, is put in train mode.
    """

    def __init__(
        self, module: nn.Module, site_noise: SiteNoise, attribute: str, rate: float
    ) -> None:
        super().__init__(module)
        self.site_noise, self.attribute, self.rate = site_noise, attribute, rate
        self.before: float | None = None
        self.entered_train = False

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

    def restorer(self) -> Callable[[], None]:
        return partial(setattr, self.module, self.attribute, getattr(self.module, self.attribute))


class _EnterTrain:
    def __init__(self, attachment: RetunedRate) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any) -> None:
        noise = self.attachment.site_noise.noise
        if not torch.compiler.is_compiling():
            site = self.attachment.site_noise.site.name
            noise.draw_counts[site] = noise.draw_counts.get(site, 0) + 1
        if noise.current.sampling and not module.training:
            module.training, self.attachment.entered_train = True, True


class _LeaveTrain:
    def __init__(self, attachment: RetunedRate) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if self.attachment.entered_train:
            module.training, self.attachment.entered_train = False, False


class KeyedDropout(Attachment):
    """A module of dropout or stochastic depth whose own draw is replaced by ours.

    Its rate is zero only while it runs: where another module reads the rate instead of calling,
    as fused attention in Hugging Face models does, the noise there must not vanish.
    """

    def __init__(self, module: nn.Module, site_noise: SiteNoise, attribute: str = "p") -> None:
        super().__init__(module)
        self.site_noise, self.attribute = site_noise, attribute
        self.rates: list[float] = []

    def attach(self) -> None:
        self.handles.append(self.module.register_forward_pre_hook(_DisableRate(self)))
        self.handles.append(self.module.register_forward_hook(_DropOutput(self), always_call=True))

    def detach(self) -> None:
        # Torch runs no hook after a forward that was interrupted from the keyboard.
        if self.rates:
            set_rate(self.module, self.attribute, self.rates[0])
            self.rates.clear()
        super().detach()


class _DisableRate:
    def __init__(self, attachment: KeyedDropout) -> None:
        self.rates, self.attribute = attachment.rates, attachment.attribute

    def __call__(self, module: nn.Module, args: Any) -> None:
        self.rates.append(getattr(module, self.attribute))
        set_rate(module, self.attribute, 0.0)


class _DropOutput:
    """Our noise on what the module returned, and its rate again, also where it failed."""

    def __init__(self, attachment: KeyedDropout) -> None:
        self.attachment = attachment

    def __call__(self, module: nn.Module, args: Any, output: Any) -> Any:
        attachment = self.attachment
        if attachment.rates:
            set_rate(module, attachment.attribute, attachment.rates.pop())
        site_noise = attachment.site_noise
        if output is None or not (module.training or site_noise.noise.current.sampling):
            return None
        if type(output) is Tensor:
            result = site_noise.drop(output, module)
            # Where the module drops in place, so do we.
            return output.copy_(result) if getattr(module, "inplace", False) else result
        first = leading_tensor(output, site_noise.site.name)
        return with_leading_tensor(output, site_noise.drop(first, module))
