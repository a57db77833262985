"""Slots: places inside a module's own forward where it asks for noise.

Hooks reach what a module takes and returns. The state of a recurrent layer is neither, so such a
module names its slots itself; a rule leaves its noise with the module, which asks for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import nn

from dropsmith.interception import Attachment
from dropsmith.noise.site_noise import SiteNoise


@dataclass(frozen=True, kw_only=True)
class NoiseSlot:
    """A place inside a module's forward where it asks for noise.

    Args:
        name: what follows the module's name in that of the site, such as `recurrent_l0`.
        axes: names of the tensor's dimensions there.
        group: a name that means this place and others alike, such as `recurrent`.
    """

    name: str
    axes: tuple[str, ...]
    group: str


@runtime_checkable
class HasNoiseSlots(Protocol):
    """A module that asks for noise by itself; see `inner_noise_of`."""

    def noise_slots(self) -> tuple[NoiseSlot, ...]:
        """List the slots, in the order of its layers."""
        ...


_INNER = "_dropsmith_inner_noise"


class InnerSiteNoise(Attachment):
    """Noise at one slot of a module.

    Args:
        module: the module that declares the slot.
        site_noise: what it is to ask.
        slot: the name of the slot within the module.
    """

    def __init__(self, module: nn.Module, site_noise: SiteNoise, slot: str) -> None:
        super().__init__(module)
        self.site_noise, self.slot = site_noise, slot

    def attach(self) -> None:
        self.module.__dict__.setdefault(_INNER, {})[self.slot] = self.site_noise

    def detach(self) -> None:
        super().detach()
        slots = self.module.__dict__[_INNER]
        del slots[self.slot]
        if not slots:
            del self.module.__dict__[_INNER]

    def restorer(self) -> Callable[[], None]:
        return self.attach


def inner_noise_of(module: nn.Module) -> dict[str, SiteNoise]:
    """The noise that rules have for a module to ask for, by the name of the slot."""
    return module.__dict__.get(_INNER, {})
