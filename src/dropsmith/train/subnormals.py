"""Numbers too small to be stored in full, taken for zero while a run is made.

Below 1.2e-38 a float32 loses digits, and a processor may take a hundred times as long to add or
multiply it. Gradients that vanish over a long sequence get there: backward through two hundred
steps of an LSTM then takes ten times its time.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_SMALL = 1e-39
"""A float32 below the least that is stored in full."""


@contextmanager
def flushed() -> Iterator[None]:
    """Subnormal numbers are zero to this thread inside a `with` block, where the CPU can.

    >>> with flushed():
    ...     small = torch.tensor(1e-30) * torch.tensor(1e-9)
    >>> float(small), float(torch.tensor(1e-30) * torch.tensor(1e-9)) > 0
    (0.0, True)
    """
    before = _flushing()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _flushing() -> bool:
    # Torch can set this and cannot tell it.
    return not float(torch.full((), _SMALL).mul(1.0))
