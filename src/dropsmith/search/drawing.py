"""Drawing tokens from a policy one by one, never again those that were tried.

Drawing without replacement from a sequence model is exact and needs no rejected draws (Shi, Bieber
& Sutton 2020, "Incremental sampling without replacement for sequence models"): from the chance of
each prefix the chance of what was tried under it is taken away.
"""

from collections.abc import Sequence
from math import log, prod

import torch
from torch import Tensor

from dropsmith.search.policy import Policy
from dropsmith.search.space import Tokens

_LEAST = 1e-9
"""Where less than this share of a prefix's chance is left, differences of chances mean nothing."""

_ROWS = 64
"""So many sequences at a time: what a policy makes of a thousand would be tens of megabytes."""

_MANY = 2**1000
"""More plans than are ever tried, and still a number in float64."""


class Tried:
    """What was tried last, and how probable a policy finds it.

    Args:
        width: how many choices there are.
        most: how many different tokens are remembered.
    """

    def __init__(self, width: int, most: int) -> None:
        self.width, self.most = width, most
        self.rows: dict[Tokens, None] = {}

    def add(self, tokens: Tokens) -> None:
        """Count these tokens as tried, and forget the oldest where they are too many."""
        self.rows.pop(tokens, None)
        self.rows[tokens] = None
        while len(self.rows) > self.most:
            del self.rows[next(iter(self.rows))]

    def chances(self, policy: Policy) -> tuple[Tensor, Tensor]:
        """The tokens `[row, choice]` and their probabilities `[row]` in float64."""
        tokens = torch.tensor(list(self.rows), dtype=torch.int64).view(-1, self.width)
        with torch.no_grad():
            parts = [policy.log_probabilities(part) for part in tokens.split(_ROWS)]
        return tokens, torch.cat(parts).double().exp()


def drawn(
    policy: Policy, uniforms: Sequence[float], tried: tuple[Tensor, Tensor]
) -> tuple[Tokens, float]:
    """Tokens, and the logarithm of the chance with which these were drawn.

    Args:
        policy: what they are drawn from.
        uniforms: a number in [0, 1) for each choice; the draw is a function of them.
        tried: tokens that are not drawn again while others are left, and their probabilities.
    """
    counts = policy.counts
    rows, chances = tried
    fresh = len(rows) < prod(counts)
    if not fresh:
        rows, chances = rows[:0], chances[:0]
    tokens: list[int] = []
    prefix, log_probability = 1.0, 0.0
    for place, uniform in enumerate(uniforms):
        if counts[place] == 1:
            tokens.append(0)
            continue
        seen = torch.tensor([tokens], dtype=torch.int64).view(1, -1)
        with torch.no_grad():
            step = policy(seen)[0, -1, : counts[place]].double().exp()
        left = _left(prefix * step, rows, chances, counts, place)
        share = left / left.sum()
        token = _pick(share, uniform)
        log_probability += log(float(share[token]))
        prefix *= float(step[token])
        same = rows[:, place] == token
        rows, chances = rows[same], chances[same]
        tokens.append(token)
    return tuple(tokens), log_probability


def _left(
    whole: Tensor, rows: Tensor, chances: Tensor, counts: Sequence[int], place: int
) -> Tensor:
    """How much of each value's chance is not tried; by counting where chances cannot tell."""
    if not len(rows):
        return whole
    taken = torch.zeros_like(whole).index_add_(0, rows[:, place], chances)
    number = torch.bincount(rows[:, place], minlength=len(whole)).double()
    # Of a large space there are more ways to go on than any number of the machine counts.
    open_ = float(min(prod(counts[place + 1 :]), _MANY)) - number
    left = (whole - taken).clamp(min=0) * (open_ > 0)
    if left.sum() <= _LEAST * whole.sum():
        return open_
    return left


def _pick(share: Tensor, uniform: float) -> int:
    """The value at which the running sum of the shares passes `uniform`."""
    passed = int((share.cumsum(0) <= uniform).sum())
    # Rounding may leave the sum below one: the last value that has a share then.
    return min(passed, int(share.nonzero()[-1]))
