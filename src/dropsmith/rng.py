"""Random bits that are a pure function of a key and an index.

A key is folded from everything a mask may depend on (seed, rank, step, view, site, call) and
from nothing else, so the same mask comes back in a recomputed layer, after a resume, in a
compiled graph, and whatever was drawn before it. The same integer lines serve Python integers
and int32 tensors; a test holds them to each other.

Index and key meet in two rounds. One round over `index ^ seed` would make the masks of two seeds
permutations of one another: they would all drop exactly the same number of units.
"""

import math
import operator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropsmith.errors import NoiseError, excerpt
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
_CHUNK = 65536
_HALF = 1 << 31
MOST_UNITS = 1 << 32
"""The units of the largest mask: each has a number of 32 bits, and would meet another's beyond."""
_CPU = torch.device("cpu")

Word = int | Tensor
Words = NDArray[np.uint32]


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
class Key:
    """Sixty-four bits that name one draw; a new one comes from folding a number in.

    >>> Key.of(7).fold(1) == Key.of(7).fold(1), Key.of(7).fold(1) == Key.of(7).fold(2)
    (True, False)
    """

    first: Word
    second: Word

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

    def fold(self, *words: Word) -> "Key":
        """The key that depends on this one and on `words` (32-bit integers or int32 tensors)."""
        first, second = self.first, self.second
        if type(first) is int and type(second) is int and not torch.compiler.is_compiling():
            for word in words:
                if type(word) is not int:
                    break
            else:
                return _folded(first, second, words)  # pyright: ignore[reportArgumentType]
        for word in words:
            first = mix(_xor(first, mix(_add(word, _GOLDEN))))
            second = mix(_add(second, _xor(first, _SALT)))
        return Key(first, second)

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


@dataclass(frozen=True)
class Source:
    """What a draw may depend on: key, training step, the device to draw on, and the view."""

    key: Key
    step: Word = 0
    device: torch.device = _CPU
    view: int = 0


def bits(key: Key, index: Tensor) -> Tensor:
    """Thirty-two random bits, as int32, for each int32 `index`."""
    word = torch.bitwise_xor(index, _tensor(key.first))  # pyright: ignore[reportArgumentType]
    return mix(mix(word) + _tensor(key.second))  # pyright: ignore[reportReturnType]


def check_unit_count(count: int) -> None:
    """Raise `NoiseError` where a mask for one view has more units than there are numbers."""
    if count > MOST_UNITS:
        raise NoiseError(
            f"a mask of one view has at most {MOST_UNITS:,} units, and this one has {count:,}\n"
            "  split the batch, or share the mask along an axis: Bernoulli(rate=..., shared=...)"
        )


def words(source: Source, shape: tuple[int, ...]) -> Tensor:
    """Random int32 of a shape, one for each position counted in row-major order.

    Raises:
        NoiseError: there are more than `MOST_UNITS` positions.
    """
    if not torch.compiler.is_compiling():
        check_unit_count(math.prod(shape))
    return _words(source.key.in_transforms(source.device), shape, source.device)


def _words(key: Key, shape: tuple[int, ...], device: torch.device) -> Tensor:
    count = math.prod(shape)
    if isinstance(key.first, int) and isinstance(key.second, int) and numpy_serves(device):
        return torch.from_numpy(_in_chunks(key.first, key.second, count).view(np.int32)).view(shape)
    return bits(key, _numbers(count, device)).view(shape)


def _numbers(count: int, device: torch.device) -> Tensor:
    """The numbers from 0 as int32, which go on below zero after the largest."""
    # Sizes of code that is being compiled may be known to nobody yet.
    if torch.compiler.is_compiling() or count <= _HALF:
        return torch.arange(count, dtype=torch.int32, device=device)
    return torch.arange(count, dtype=torch.int64, device=device).to(torch.int32)


def numpy_serves(device: torch.device) -> bool:
    """Whether NumPy may do the work of torch: on a CPU, where nothing traces or transforms."""
    return device.type == "cpu" and not traced()


def traced() -> bool:
    """Whether operations must be torch's own, for a compiler or `torch.func` follows them."""
    return torch.compiler.is_compiling() or transforms_active()


def _in_chunks(first: int, second: int, count: int) -> Words:
    # A call of NumPy costs a third of a torch call, which is what small draws pay for; chunks
    # stay in cache, which makes large ones several times faster.
    out, spare = np.empty(count, np.uint32), np.empty(min(count, _CHUNK), np.uint32)
    for start in range(0, count, _CHUNK):
        part = out[start : start + _CHUNK]
        rest = spare[: len(part)]
        index = np.arange(start, start + len(part), dtype=np.uint32)
        np.bitwise_xor(index, np.uint32(first & _WORD), part)
        mix_in_place(part, rest)
        np.add(part, np.uint32(second & _WORD), part)
        mix_in_place(part, rest)
    return out


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


def threshold(rate: float | Tensor) -> Word:
    """The 31-bit integer below which a unit is dropped with chance `rate`."""
    if isinstance(rate, Tensor):
        return (rate.double() * 2147483648.0).round().clamp(max=2147483647).to(torch.int32)
    return min(round(rate * 2147483648), 2147483647)


def keep(source: Source, shape: tuple[int, ...], rate: float | Tensor) -> Tensor:
    """Booleans that are False with chance `rate`."""
    return ((words(source, shape) >> 1) & 0x7FFFFFFF) >= threshold(rate)


def uniform(source: Source, shape: tuple[int, ...]) -> Tensor:
    """float32 numbers in [0, 1), on a grid of 2⁻²⁴."""
    return _uniform(source.key.in_transforms(source.device), shape, source.device)


def _uniform(key: Key, shape: tuple[int, ...], device: torch.device) -> Tensor:
    return ((_words(key, shape, device) >> 8) & 0xFFFFFF).float().mul_(2.0**-24)


def normal(source: Source, shape: tuple[int, ...]) -> Tensor:
    """Standard normal float32 numbers (Box & Muller, 1958), never infinite."""
    key, device = source.key.in_transforms(source.device), source.device
    radius, angle = _uniform(key.fold(1), shape, device), _uniform(key.fold(2), shape, device)
    angle = angle.mul_(2 * math.pi).cos_()
    return radius.neg_().log1p_().mul_(-2).sqrt_().mul_(angle)
