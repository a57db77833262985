"""Bounds that come from the spread of what was measured, never from taste."""

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

_FLOOR = 1e-5
"""The rounding of a float32 mean, for draws that all have the same one."""


def check_mean(values: Sequence[Tensor], want: float, what: str) -> None:
    """Assert that independent numbers have the mean `want`, to five of their standard errors.

    >>> check_mean([torch.tensor(number) for number in (0.9, 1.1, 1.0)], 1.0, "the mean")
    """
    found = torch.stack(list(values)).double()
    bound = 5 * found.std().item() / sqrt(len(found)) + _FLOOR
    mean = found.mean().item()
    assert abs(mean - want) <= bound, (
        f"{what} is {mean:.5f} over {len(found)} draws, not {want} ± {bound:.5f}"
    )
