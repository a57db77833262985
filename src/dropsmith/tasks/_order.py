"""Which examples a step sees: a function of seed and step, so that it can be resumed anywhere."""

from functools import lru_cache

import torch
from torch import Tensor

from dropsmith.rng import Key, bits


def rows_at(step: int, *, seed: int, batch_size: int, examples: int) -> Tensor:
    """The rows of step `step` (from 1): the next `batch_size` of one permutation after another.

    Every batch is full: where a permutation ends the next one begins, so every example is seen
    equally often.

    >>> order = [rows_at(s, seed=0, batch_size=2, examples=3).tolist() for s in (1, 2, 3)]
    >>> sorted(sum(order, []))
    [0, 0, 1, 1, 2, 2]
    """
    size = min(batch_size, examples)
    place = torch.arange((step - 1) * size, step * size)
    parts = [
        _permutation(seed, epoch, examples)[place[place // examples == epoch] % examples]
        for epoch in range(int(place[0]) // examples, int(place[-1]) // examples + 1)
    ]
    return torch.cat(parts)


@lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, examples: int) -> Tensor:
    key = Key.of(seed).fold(epoch)
    return bits(key, torch.arange(examples, dtype=torch.int32)).argsort(stable=True)
