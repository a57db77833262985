"""The states of the random generators of torch, NumPy and Python, on every device in use."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

TORCH, NUMPY, PYTHON = "torch", "numpy", "random"


@dataclass(frozen=True, eq=False)
class RandomStates:
    """The states of all generators at one moment.

    >>> before = RandomStates.now()
    >>> _ = torch.rand(3), random.random()
    >>> before.changes(RandomStates.now()), before.restore(), before.changes(RandomStates.now())
    (('torch', 'random'), None, ())
    """

    torch: tuple[Tensor, ...]
    numpy: Any = None
    python: Any = None

    @classmethod
    def now(cls, *, torch_only: bool = False) -> "RandomStates":
        """As they are; those of NumPy and Python take fifty times as long to read as torch's."""
        states = (torch.get_rng_state(), *map(torch.cuda.get_rng_state, _devices()))
        if torch_only:
            return cls(states)
        return cls(states, np.random.get_state(legacy=False), random.getstate())

    def restore(self) -> None:
        """Make them as they were at this moment."""
        torch.set_rng_state(self.torch[0])
        for device, state in zip(_devices(), self.torch[1:], strict=False):
            torch.cuda.set_rng_state(state, device)
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def changes(self, later: "RandomStates") -> tuple[str, ...]:
        """Name the generators used until a later moment, of `torch`, `numpy` and `random`."""
        pairs = zip(self.torch, later.torch, strict=False)
        is_changed = {
            TORCH: not all(torch.equal(a, b) for a, b in pairs),
            NUMPY: self.numpy is not None and _position(self.numpy) != _position(later.numpy),
            PYTHON: self.python != later.python,
        }
        return tuple(name for name, change in is_changed.items() if change)


def _position(state: Any) -> tuple[bytes, int]:
    return state["state"]["key"].tobytes(), (state["state"]["pos"], state["has_gauss"])  # pyright: ignore


def _devices() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)
