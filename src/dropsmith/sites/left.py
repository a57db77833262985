"""Noise left with a module that asks for it, at the places it declares."""

from collections.abc import Callable

from torch import nn

from dropsmith.sites.attach import Attachment
from dropsmith.sites.drawn import Drawn

_LEFT = "_dropsmith_left"


class Left(Attachment):
    """Noise at one declared place.

    Args:
        module: the module that declares the place.
        drawn: what it is to ask.
        place: the name of the place within the module.
    """

    def __init__(self, module: nn.Module, drawn: Drawn, place: str) -> None:
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


def noise_left_with(module: nn.Module) -> dict[str, Drawn]:
    """What rules have left with a module, by the name of the place."""
    return module.__dict__.get(_LEFT, {})
