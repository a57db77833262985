"""When a validation loss has got worse for good, or for long enough to be taken so."""

import math
from collections.abc import Sequence


def worse_at(losses: Sequence[float], nonmono: int) -> int | None:
    """The first evaluation whose loss is above the best of all but the last few before it.

    The non-monotonic criterion of Merity et al. (2018), algorithm 1. A loss that is not a number
    is no best, and is not above one.

    >>> losses = [5.0, 4.0, 3.0, 3.2, 3.1, 3.3]
    >>> worse_at(losses, 2), worse_at(losses[:-1], 2)
    (5, None)

    Args:
        losses: of every evaluation so far.
        nonmono: how many evaluations before the one in question do not count.
    """
    best = math.inf
    for index in range(nonmono + 1, len(losses)):
        best = min(best, losses[index - nonmono - 1])  # which stays, where the other is none
        if losses[index] > best:
            return index
    return None
