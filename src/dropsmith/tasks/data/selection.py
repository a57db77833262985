"""Choosing which examples are for what, the same way every time and for every run's seed."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from dropsmith.errors import DataError, TaskError
from dropsmith.numbers import check_whole
from dropsmith.rng import Key, bits

SEED = 2016
"""Of the choice of examples; runs have seeds of their own."""

PARTS = ("train", "validation", "test")

NO_LIMIT = 0
"""A limit that leaves every training example, where a task's own choice would be fewer."""


def round_robin(labels: Sequence[int]) -> Tensor:
    """An order in which every prefix holds the classes about equally, as far as they last.

    >>> round_robin([0, 0, 0, 1]).tolist().index(3) < 2
    True
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED)).tolist()
    counts: Counter[int] = Counter()
    turns = []
    for place, index in enumerate(order):
        turns.append((counts[labels[index]], place, index))
        counts[labels[index]] += 1
    return torch.tensor([index for _, _, index in sorted(turns)], dtype=torch.long)


def stratify(labels: Sequence[int], shares: Sequence[float]) -> list[Tensor]:
    """Disjoint indices that make up all examples, each part with the whole's mix of classes.

    >>> first, rest = stratify([0, 0, 0, 0, 1, 1], (0.5, 0.5))
    >>> sorted(first.tolist() + rest.tolist()), sum(i > 3 for i in first.tolist())
    ([0, 1, 2, 3, 4, 5], 1)

    Args:
        labels: one class for each example.
        shares: the share of all examples in each part; they add up to one.
    """
    generator = torch.Generator().manual_seed(SEED)
    classes = torch.as_tensor(labels)
    spread = torch.empty(len(classes), dtype=torch.float64)
    by_class = classes.argsort(stable=True).split(classes.unique(return_counts=True)[1].tolist())
    for members in by_class:
        order = torch.randperm(len(members), generator=generator)
        # Each class is spread evenly over [0, 1): a cut anywhere takes its share of every class.
        spread[members] = (order.double() + 0.5) / len(members)
    order = spread.argsort(stable=True)
    bounds = [round(end * len(classes)) for end in accumulate(shares, initial=0.0)]
    return [order[a:b].sort().values for a, b in pairwise(bounds)]


def part_of(content: bytes) -> str:
    """The part of an example by a hash of its content: 70 % train, 15 % each of the others.

    The content decides, so copies never stand on two sides, and new examples move no old ones.

    >>> part_of(b"one"), part_of(b"one") == part_of(b"one")
    ('train', True)
    """
    share = int.from_bytes(hashlib.sha256(content).digest()[:4], "big") / 2**32
    return "train" if share < 0.7 else "validation" if share < 0.85 else "test"


def check_limit(limit: object) -> None:
    """Raise `TaskError` unless a limit is a whole number from 0, or None.

    Readers look at it first: to a cache, `True` and `1.0` are the limit 1.
    """
    if limit is not None:
        check_whole("limit", limit, NO_LIMIT, TaskError)


def apply_limit(order: Tensor, limit: int | None) -> Tensor:
    """The first `limit` of the training examples; `TaskError` where there are not so many.

    All of them for None and for `NO_LIMIT`.
    """
    check_limit(limit)
    if limit is None or limit == NO_LIMIT:
        return order
    if not 1 <= limit <= len(order):
        raise TaskError(f"limit={limit}, but there are {len(order)} training examples")
    return order[:limit]


def check_parts(labels: Mapping[str, Sequence[int]], names: Sequence[str], source: str) -> None:
    """Raise `DataError` unless each part has examples, and train has them of every class."""
    if len(names) < 2:
        raise DataError(
            f"only one class in {source}: {', '.join(names) or 'none'}\n"
            "  telling classes apart takes at least two"
        )
    for part in PARTS:
        if not labels[part]:
            sizes = ", ".join(f"{name} {len(labels[name])}" for name in PARTS)
            raise DataError(f"too few examples in {source}: no {part} examples ({sizes})")
    train_classes = set(labels["train"])
    if missing := [name for index, name in enumerate(names) if index not in train_classes]:
        raise DataError(f"no training example of class {missing[0]!r} in {source}: add more of it")


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
