"""Drawing tokens from a policy one by one, never again those that were tried.

Drawing without replacement from a sequence model is exact and needs no rejected draws (Shi, Bieber
& Sutton 2020, "Incremental sampling without replacement for sequence models"): from the chance of
each prefix, the chance of the tried tokens that begin with it is subtracted.
"""

from collections.abc import Sequence
from math import log, prod

import torch
from torch import Tensor

from dropsmith.pattern_search.samplers.policy import Policy
from dropsmith.pattern_search.spaces.space import Tokens

_MIN_REMAINDER = 1e-9
"""Where less than this share of a prefix's chance is left, differences of chances mean nothing."""

_ROWS = 64
"""Sequences in one batch: the activations of a thousand would be tens of megabytes."""

_UNCOUNTABLE = 2**1000
"""More plans than are ever tried, and still a number in float64."""


class RecentTokens:
    """The tokens tried last, and the probabilities that a policy gives them.

    Args:
        width: the number of choices.
        capacity: how many different tokens are remembered.
    """

    def __init__(self, width: int, capacity: int) -> None:
        self.width, self.capacity = width, capacity
        self.rows: dict[Tokens, None] = {}

    def add(self, tokens: Tokens) -> None:
        """Count these tokens as tried, and forget the oldest where they are too many."""
        self.rows.pop(tokens, None)
        self.rows[tokens] = None
        while len(self.rows) > self.capacity:
            del self.rows[next(iter(self.rows))]

    def probabilities(self, policy: Policy) -> tuple[Tensor, Tensor]:
        """The tokens `[row, choice]` and their probabilities `[row]` in float64."""
        tokens = torch.tensor(list(self.rows), dtype=torch.int64).view(-1, self.width)
        with torch.no_grad():
            parts = [policy.log_probabilities(part) for part in tokens.split(_ROWS)]
        return tokens, torch.cat(parts).double().exp()


def draw_tokens(
    policy: Policy, uniforms: Sequence[float], exclusions: tuple[Tensor, Tensor]
) -> tuple[Tokens, float]:
    """Draw tokens; they come with the logarithm of the chance of this draw.

    Args:
        policy: the distribution they are drawn from.
        uniforms: a number in [0, 1) for each choice; the draw is a function of them.
        exclusions: tokens `[row, choice]` that are not drawn while others are left, and their
            probabilities `[row]`.
    """
    counts = policy.counts
    rows, chances = exclusions
    fresh = len(rows) < prod(counts)
    if not fresh:
        rows, chances = rows[:0], chances[:0]
    tokens: list[int] = []
    prefix, log_probability = 1.0, 0.0
    for position, uniform in enumerate(uniforms):
        if counts[position] == 1:
            tokens.append(0)
            continue
        head = torch.tensor([tokens], dtype=torch.int64).view(1, -1)
        with torch.no_grad():
            step = policy(head)[0, -1, : counts[position]].double().exp()
        remainder = _untried_chance(prefix * step, rows, chances, counts, position)
        share = remainder / remainder.sum()
        token = _pick(share, uniform)
        log_probability += log(float(share[token]))
        prefix *= float(step[token])
        same = rows[:, position] == token
        rows, chances = rows[same], chances[same]
        tokens.append(token)
    return tuple(tokens), log_probability


def _untried_chance(
    total: Tensor, rows: Tensor, chances: Tensor, counts: Sequence[int], position: int
) -> Tensor:
    """The untried part of each value's chance; by counting where chances cannot tell."""
    if not len(rows):
        return total
    tried_chance = torch.zeros_like(total).index_add_(0, rows[:, position], chances)
    number = torch.bincount(rows[:, position], minlength=len(total)).double()
    # Of a large space there are more ways to go on than any number of the machine counts.
    open_ = float(min(prod(counts[position + 1 :]), _UNCOUNTABLE)) - number
    remainder = (total - tried_chance).clamp(min=0) * (open_ > 0)
    if remainder.sum() <= _MIN_REMAINDER * total.sum():
        return open_
    return remainder


def _pick(share: Tensor, uniform: float) -> int:
    """The value at which the running sum of the shares passes `uniform`."""
    index = int((share.cumsum(0) <= uniform).sum())
    # Rounding may leave the sum below one: the last value that has a share then.
    return min(index, int(share.nonzero()[-1]))
