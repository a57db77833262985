"""Random bits that are a pure function of a key and an index.

A key is folded from everything a mask may depend on (seed, rank, step, view, site, call) and
from nothing else, so the same mask comes back in a recomputed layer, after a resume, in a
compiled graph, and whatever was drawn before it. The same integer lines serve Python integers
and int32 tensors; a test holds them to each other.

Index and key meet in two rounds. One round over `index ^ seed` would make the masks of two seeds
permutations of one another: they would all drop exactly the same number of units.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropsmith.errors import NoiseError, excerpt
from dropsmith.portable import call, exporting, shift_right
from dropsmith.transforms import example_indices, transforms_active

_WORD = 0xFFFFFFFF
_GOLDEN = 0x9E3779B9
_SALT = 0x85EBCA6B
_EXAMPLE = 0x6578616D
# Multipliers of Wellons' low-bias 32-bit hash ("Prospecting for Hash Functions", 2018).
_FIRST = 0x7FEB352D
_SECOND = 0x846CA68B
# The same as NumPy scalars, so that arrays stay of 32 bits.
_SHIFT, _SHORT = np.uint32(16), np.uint32(15)
_ONCE, _TWICE = np.uint32(_FIRST), np.uint32(_SECOND)

Word = int | Tensor
Words = NDArray[np.uint32]
Make = Callable[[Words], Sequence[Any]]
"""What is made of each row of random words, `[rows, words]`; may write to them."""


def _signed(word: int) -> int:
    return word - (1 << 32) if word & 0x80000000 else word


def _add(a: Word, b: Word) -> Word:
    if isinstance(a, int) and isinstance(b, int):
        return (a + b) & _WORD
    return _tensor(a) + _tensor(b)


def _xor(a: Word, b: Word) -> Word:
    if isinstance(a, int) and isinstance(b, int):
        return a ^ b
    return torch.bitwise_xor(_tensor(a), _tensor(b))  # pyright: ignore[reportArgumentType, reportCallIssue]


def _tensor(word: Word) -> Word:
    return _signed(word) if isinstance(word, int) else word


def mix(word: Word) -> Word:
    """Scatter 32 bits so that flipping one of them flips each other one half of the time."""
    if isinstance(word, int):
        return _mix_integer(word)
    if exporting():
        word = (word ^ shift_right(word, 16)) * _FIRST
        word = (word ^ shift_right(word, 15)) * _signed(_SECOND)
        return word ^ shift_right(word, 16)
    # int32 shifts carry the sign along; the AND makes them the logical shifts of the words above.
    word = word ^ ((word >> 16) & 0xFFFF)
    word = word * _FIRST
    word = word ^ ((word >> 15) & 0x1FFFF)
    word = word * _signed(_SECOND)
    return word ^ ((word >> 16) & 0xFFFF)


def _mix_integer(word: int) -> int:
    word = ((word ^ (word >> 16)) * _FIRST) & _WORD
    word = ((word ^ (word >> 15)) * _SECOND) & _WORD
    return word ^ (word >> 16)


@dataclass(frozen=True)
class Strata:
    """The place of one draw among several whose numbers are stratified; see `dropsmith.strata`.

    Args:
        order: the key of each unit's order of strata, the same for all of these draws.
        number: which of the draws this is, from 0.
        count: how many draws there are, and strata.
    """

    order: "Key"
    number: Word
    count: int


class Series(Protocol):
    """What makes the keys of numbers that follow one another; see `dropsmith.key_series`."""

    def ahead(self, number: int, count: int, make: Make, /) -> Any | None:
        """What is made of the words that the key of a number draws, where that is held; or None."""
        ...


@dataclass(frozen=True)
class Key:
    """Sixty-four bits that name one draw; a new one comes from folding a number in.

    >>> Key.of(7).fold(1) == Key.of(7).fold(1), Key.of(7).fold(1) == Key.of(7).fold(2)
    (True, False)

    Args:
        first, second: the bits.
        strata: the place of the draw among those that it is stratified with; None for a draw that
            is independent of all others.
        series: the series that made the key and the number folded in last, for draws made ahead;
            None for a key that was folded by itself. It is no part of what the key is.
    """

    first: Word
    second: Word
    strata: Strata | None = None
    series: tuple[Series, int] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, seed: int) -> "Key":
        """The key of a seed of up to 64 bits, an integer of Python or NumPy."""
        try:
            seed = operator.index(seed)
        except TypeError:
            raise NoiseError(f"a seed is an integer, got {excerpt(seed)}") from None
        if not -(2**63) <= seed < 2**64:
            raise NoiseError(f"a seed has 64 bits at most, got {excerpt(seed)}")
        return cls(_GOLDEN, _SALT).fold(seed & _WORD, (seed >> 32) & _WORD)

    @classmethod
    def of_tensor(cls, seed: Tensor) -> "Key":
        """The key of a seed that is an int32 tensor, which `of` makes of its number."""
        # Of a number of 64 bits the upper word repeats the sign of the lower one.
        upper = torch.where(seed < 0, -1, 0).to(torch.int32)
        return cls(_GOLDEN, _SALT).fold(seed, upper)

    def fold(self, *words: Word) -> "Key":
        """The key that depends on this one and on `words` (32-bit integers or int32 tensors)."""
        if self.strata is not None:
            strata = replace(self.strata, order=self.strata.order.fold(*words))
            return replace(Key(self.first, self.second).fold(*words), strata=strata)
        first, second = self.first, self.second
        if type(first) is int and type(second) is int and not torch.compiler.is_compiling():
            for word in words:
                if type(word) is not int:
                    break
            else:
                return _folded(first, second, words)  # pyright: ignore[reportArgumentType]
        if exporting():
            return Key(*call(_fold, first, second, *words, types=(torch.int32, torch.int32)))
        return Key(*_fold(first, second, *words))

    @property
    def numbers(self) -> tuple[int, int]:
        """The bits as two numbers of 32 bits that are not negative, where they are known."""
        return int(self.first) & _WORD, int(self.second) & _WORD

    def example(self, *indices: Word) -> "Key":
        """The key of one example of a `torch.vmap` whose examples have noise of their own.

        Args:
            indices: of the example, one for each such `vmap`, the outermost first.
        """
        return self.fold(_EXAMPLE, *indices)

    def in_transforms(self, device: torch.device) -> "Key":
        """The key to draw from under `torch.func`: of the running example, or for all of them.

        Everywhere else it is this key. Raise `NoiseError` under a `vmap` that allows no noise.
        """
        if not transforms_active():
            return self
        indices = example_indices(device)
        return self.example(*indices) if indices else self


@lru_cache(maxsize=1 << 14)
def _folded(first: int, second: int, words: tuple[int, ...]) -> Key:
    """`Key.fold` of integers, without the calls of `_xor` and `_add`: sites fold at every draw."""
    for word in words:
        first = _mix_integer(first ^ _mix_integer((word + _GOLDEN) & _WORD))
        second = _mix_integer((second + (first ^ _SALT)) & _WORD)
    return Key(first, second)


def _fold(first: Word, second: Word, *words: Word) -> tuple[Word, Word]:
    """The bits of the key that depends on one with these and on words."""
    for word in words:
        first = mix(_xor(first, mix(_add(word, _GOLDEN))))
        second = mix(_add(second, _xor(first, _SALT)))
    return first, second


def bits(key: Key, index: Tensor) -> Tensor:
    """Thirty-two random bits, as int32, for each int32 `index`."""
    word = torch.bitwise_xor(index, _tensor(key.first))  # pyright: ignore[reportArgumentType]
    return mix(mix(word) + _tensor(key.second))  # pyright: ignore[reportReturnType]


def more_bits(key: Key, word: Tensor) -> Tensor:
    """Thirty-two further bits of the same indices, of those that were drawn last."""
    return mix(_add(word, key.first))  # pyright: ignore[reportReturnType]


def fold_in_place(first: int, second: int, numbers: Words) -> tuple[Words, Words]:
    """The bits of the keys that `Key.fold` makes of each number, whose memory is written over.

    Args:
        first, second: the numbers of the key that is folded into.
        numbers: one word for each key.
    """
    spare = np.empty_like(numbers)
    np.add(numbers, np.uint32(_GOLDEN), numbers)
    mix_in_place(numbers, spare)
    np.bitwise_xor(numbers, np.uint32(first), numbers)
    mix_in_place(numbers, spare)
    seconds = np.bitwise_xor(numbers, np.uint32(_SALT))
    np.add(seconds, np.uint32(second), seconds)
    mix_in_place(seconds, spare)
    return numbers, seconds


def draw_in_place(word: Words, spare: Words, first: Any, second: Any) -> None:
    """`bits` of an array of indices, in its own place; `spare` is as large and is written over.

    Args:
        word: the indices.
        spare: memory.
        first, second: the numbers of a key, or arrays of them that broadcast against the indices.
    """
    np.bitwise_xor(word, np.asarray(first, np.uint32), word)
    mix_in_place(word, spare)
    np.add(word, np.asarray(second, np.uint32), word)
    mix_in_place(word, spare)


def mix_in_place(word: Words, spare: Words) -> None:
    """`mix` of an array, in its own place; `spare` is as large and is written over."""
    np.right_shift(word, _SHIFT, spare)
    np.bitwise_xor(word, spare, word)
    np.multiply(word, _ONCE, word)
    np.right_shift(word, _SHORT, spare)
    np.bitwise_xor(word, spare, word)
    np.multiply(word, _TWICE, word)
    np.right_shift(word, _SHIFT, spare)
    np.bitwise_xor(word, spare, word)
