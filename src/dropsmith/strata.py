"""Stratified draws: of each unit, the uniform numbers of S draws lie in S different strata.

This is a Latin hypercube (McKay, Beckman & Conover, 1979). A draw by itself is what it is without
strata; together, S draws represent the distribution of each unit evenly, so that their mean has a
smaller error than the mean of independent ones.

Every unit takes the strata in an order of its own. Orders come from the maps s -> a s + b modulo
the least prime P that is not below S, with a and b of the unit's key: any two draws then take any
two different strata equally often, as under a random permutation. Where P is above S, numbers from
S on are mapped again until they are below it, and all are moved on by a number of the unit's: each
draw then takes each stratum equally often, and two draws take two strata nearly so.

A shift of all units together, (u + s / S) modulo 1, would not do: units that fall together in one
draw would fall together in all.
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropsmith.keys import Key, Words, bits, draw_in_place, mix_in_place, more_bits
from dropsmith.portable import divide_words, exporting, remainder_of_half

_WORD, _HALF = 0xFFFFFFFF, 1 << 31
LARGEST = 46_337
"""The largest prime whose square is a signed number of 32 bits."""

_TABULATED = 127
"""The most strata whose orders are read from a table: their sums are numbers of 8 bits."""


def prime_from(count: int) -> int:
    """The least prime that is not below a number.

    >>> prime_from(50), prime_from(2)
    (53, 2)
    """
    # Code that is compiled must not meet a cache.
    return _least_prime(count) if torch.compiler.is_compiling() else _remembered_prime(count)


def _least_prime(count: int) -> int:
    number = max(count, 2)
    while any(number % d == 0 for d in range(2, int(number**0.5) + 1)):
        number += 1
    return number


_remembered_prime = lru_cache(maxsize=256)(_least_prime)


class Orders:
    """The order in which each of some units takes the strata of a number of draws.

    >>> orders = Orders.of(Key.of(3), torch.arange(3, dtype=torch.int32), count=4)
    >>> draws = torch.stack([orders.strata(number) for number in range(4)])
    >>> draws.sort(0).values.T.tolist()
    [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]]

    Args:
        words: two numbers of 31 bits of each unit, and a third where `count` is no prime; all are
            NumPy's arrays or all are tensors.
        count: of strata.
    """

    def __init__(self, words: list[Any], count: int) -> None:
        self.count, self.prime = count, prime_from(count)
        if isinstance(words[0], Tensor) and self.prime > LARGEST:
            words = [word.long() for word in words]
        divisors = (self.prime, max(self.prime - 1, 1), count)
        numbers = [_remainder(*pair) for pair in zip(words, divisors, strict=False)]
        if isinstance(words[0], np.ndarray):
            kind = np.uint64 if self.prime > LARGEST else np.uint32
            numbers = [number.astype(kind) for number in numbers]
        self.shift, self.factor = numbers[0], numbers[1] + 1
        self.turn = numbers[2] if self.prime > count else None

    @classmethod
    def of(cls, order: Key, index: Any, count: int) -> "Orders":
        """Those of units by their index, uint32 of NumPy or an int32 tensor.

        Args:
            order: the key of the units' orders.
            index: of each unit.
            count: of strata.
        """
        several = 3 if prime_from(count) > count else 2
        if isinstance(index, np.ndarray):
            return cls(_array_words(order, index, several), count)
        words = [bits(order, index)]
        for _ in range(several - 1):
            words.append(more_bits(order, words[-1]))
        if exporting():
            divisors = (prime_from(count), max(prime_from(count) - 1, 1), count)
            pairs = zip(words, divisors, strict=False)
            return cls([remainder_of_half(*pair) for pair in pairs], count)
        return cls([(word >> 1) & 0x7FFFFFFF for word in words], count)

    def strata(self, number: Any) -> Any:
        """The stratum of each unit in a draw, from 0 to `count` - 1.

        Args:
            number: of the draw.
        """
        if isinstance(self.factor, np.ndarray):
            at = self._next(np.asarray(number, self.factor.dtype))
            self._bring_below(at)
        else:
            at = self._next(number)
            for _ in range(self.prime - self.count):
                at = torch.where(at < self.count, at, self._next(at))
        return at if self.turn is None else _wrapped(at + self.turn, self.count)

    def rows(self, numbers: Sequence[int]) -> NDArray[np.unsignedinteger[Any]]:
        """The stratum of each unit in each of some draws, `[draws, units]`; of NumPy's arrays."""
        if self.count > _TABULATED:
            return np.stack([self.strata(number) for number in numbers])
        unit_map, turn = self._map
        at = np.take(_strata_by_map(self.count)[numbers], unit_map, axis=1, mode="clip")
        if turn is not None:
            # What is below the divisor wraps around to a number that is larger than itself.
            at += turn
            np.minimum(at, at - np.uint8(self.count), out=at)
        return at

    @cached_property
    def _map(self) -> tuple[NDArray[np.intp], NDArray[np.uint8] | None]:
        """The place of each unit's map in the table, and by how much the unit moves it on."""
        unit_map = self.shift.astype(np.intp) * max(self.prime - 1, 1) + (self.factor - 1)
        return unit_map, None if self.turn is None else self.turn.astype(np.uint8)

    def _next(self, at: Any) -> Any:
        return _remainder(self.factor * at + self.shift, self.prime)

    def _bring_below(self, at: Any) -> None:
        """Map numbers that are no stratum again, in place; there are few of them."""
        flat = at.reshape(-1)
        beyond = np.flatnonzero(flat >= self.count)
        while len(beyond):
            unit = beyond % self.factor.size
            numbers = self.factor.ravel()[unit] * flat[beyond] + self.shift.ravel()[unit]
            flat[beyond] = numbers = _remainder(numbers, self.prime)
            beyond = beyond[numbers >= self.count]


@lru_cache(maxsize=8)
def _strata_by_map(count: int) -> NDArray[np.uint8]:
    """The stratum of each draw under each map, `[count, maps]`, before units move them on."""
    prime = prime_from(count)
    shift, factor = np.divmod(np.arange(prime * max(prime - 1, 1)), max(prime - 1, 1))
    words = [shift.astype(np.uint32), factor.astype(np.uint32), np.zeros_like(shift, np.uint32)]
    orders = Orders(words, count)
    return np.stack([orders.strata(number) for number in range(count)]).astype(np.uint8)


def _array_bits(key: Key, index: Words) -> Words:
    """`bits` of NumPy's arrays."""
    word = index.copy()
    draw_in_place(word, np.empty_like(index), *key.numbers)
    return word


def _array_words(order: Key, index: Words, several: int) -> list[Words]:
    words = [_array_bits(order, index)]
    for _ in range(several - 1):
        word = words[-1] + np.uint32(order.numbers[0])
        mix_in_place(word, np.empty_like(word))
        words.append(word)
    return [word >> np.uint32(1) for word in words]


def _remainder(numbers: Any, divisor: int) -> Any:
    """The remainder of numbers that are not negative."""
    if isinstance(numbers, np.ndarray):
        # NumPy divides by one number with vector instructions, and takes remainders without.
        whole = numbers.dtype.type(divisor)
        return numbers - numbers // whole * whole
    return numbers % divisor


def _wrapped(numbers: Any, count: int) -> Any:
    """The remainder of numbers that are below twice the divisor."""
    if isinstance(numbers, np.ndarray):
        # What is below the divisor wraps around to a number that is larger than itself.
        return np.minimum(numbers, numbers - numbers.dtype.type(count))
    return numbers % count


def limits(threshold: int, count: int) -> tuple[int, int]:
    """The stratum and the place in it below which a unit is dropped.

    A unit whose word of 32 bits is u and whose stratum is k has a stratified word below twice the
    threshold where k is below the first of these numbers, or equal to it and u below the second.

    >>> limits(1 << 30, 5), 5 / 2 == 2 + (1 << 31) / 2**32
    ((2, 2147483648), True)

    Args:
        threshold: of 31 bits.
        count: of strata.
    """
    return divmod(2 * threshold * count, 1 << 32)


def stratified_bits(key: Key, index: Any) -> Any:
    """Thirty-two random bits for each index, in the stratum of the key's draw.

    >>> from dropsmith.keys import Strata
    >>> index = np.arange(5, dtype=np.uint32)
    >>> draws = [stratified_bits(Key(1, s, Strata(Key.of(9), s, 4)), index) for s in range(4)]
    >>> np.sort(np.stack(draws) >> np.uint32(30), 0).T.tolist() == [[0, 1, 2, 3]] * 5
    True

    Args:
        key: with strata.
        index: uint32 of NumPy, or an int32 tensor; what is returned is like it.
    """
    assert key.strata is not None
    count = key.strata.count
    strata = Orders.of(key.strata.order, index, count).strata(key.strata.number)
    if isinstance(index, np.ndarray):
        words = _array_bits(key, index)
        whole = (strata.astype(np.uint64) << np.uint64(32)) | words
        return (whole // np.uint64(count)).astype(np.uint32)
    if exporting():
        return divide_words(strata, bits(key, index), count)
    whole = ((strata.long() << 32) | (bits(key, index).long() & _WORD)) // count
    return torch.where(whole >= _HALF, whole - (1 << 32), whole).to(torch.int32)
