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
    """A module that asks for noise by itself; see `sites.left.inner_noise_of`."""

    def noise_slots(self) -> tuple[NoiseSlot, ...]:
        """Where, in the order of its layers."""
        ...


_LEFT = "_dropsmith_left"


class InnerSiteNoise(Attachment):
    """Noise at one declared place.

    Args:
        module: the module that declares the place.
        drawn: what it is to ask.
        place: the name of the place within the module.
    """

    def __init__(self, module: nn.Module, drawn: SiteNoise, place: str) -> None:
        super().__init__(module)
        self.drawn, self.place = drawn, place

    def attach(self) -> None:
        self.module.__dict__.setdefault(_LEFT, {})[self.place] = self.drawn

    def detach(self) -> None:
        super().detach()
        left = self.module.__dict__[_LEFT]
        del left[self.place]
        if not left:
            del self.module.__dict__[_LEFT]

    def returning(self) -> Callable[[], None]:
        return self.attach


def inner_noise_of(module: nn.Module) -> dict[str, SiteNoise]:
    """What rules have left with a module, by the name of the place."""
    return module.__dict__.get(_LEFT, {})
