"""How a module that draws inside of its own forward says where.

Hooks reach what a module takes and returns. The state of a recurrent layer is neither, so such a
module names its places itself; a rule leaves its noise with the module, which asks for it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class Place:
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
class Declares(Protocol):
    """A module that asks for noise by itself; see `sites.left.noise_left_with`."""

    def noise_places(self) -> tuple[Place, ...]:
        """Where, in the order of its layers."""
        ...
