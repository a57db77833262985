"""The queries of attention that a step compares, where it compares a share of them."""

from dataclasses import dataclass, replace
from zlib import crc32

import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.rng import Key, bits

_QUERIES = 0xA77E
"""Part of the keys of these draws, which no other draw has."""


@dataclass(frozen=True)
class QuerySample:
    """The draw of queries in one step, for one block at a time.

    Args:
        fraction: the share of the queries.
        key: of the step, the stack and the block.
    """

    fraction: float
    key: Key

    @classmethod
    def of(cls, fraction: float, step: int | None, stack: str) -> "QuerySample | None":
        """The draw of a stack of blocks in a step; None where all queries are compared.

        Raises:
            ObjectiveError: the step is not known, so every step would have the same queries.
        """
        if fraction == 1:
            return None
        if step is None:
            raise ObjectiveError(
                "the views hold no step, and the queries of attention_fraction are drawn by it\n"
                "  install a plan, which counts steps, or give it: "
                "dataclasses.replace(views, step=step)"
            )
        return cls(fraction, Key.of(_QUERIES).fold(step, crc32(stack.encode()) & 0x7FFFFFFF))

    def of_block(self, number: int) -> "QuerySample":
        """The draw of one block of the stack."""
        return replace(self, key=self.key.fold(number))

    def queries(self, times: int, device: torch.device) -> Tensor:
        """The numbers of the queries, in order; one at least."""
        count = max(1, round(self.fraction * times))
        order = bits(self.key, torch.arange(times, dtype=torch.int32, device=device)).argsort()
        return order[:count].sort().values
