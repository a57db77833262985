"""Draws from a source of random bits: words, coin flips, uniform and normal numbers of a shape."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dropsmith.errors import NoiseError
from dropsmith.keys import Key, Strata, Word, Words, draw_in_place, mix, mix_in_place
from dropsmith.keys import bits as independent_bits
from dropsmith.strata import stratified_bits
from dropsmith.transforms import transforms_active

__all__ = [
    "MOST_UNITS",
    "Key",
    "Source",
    "Strata",
    "Word",
    "Words",
    "bits",
    "check_unit_count",
    "draw_in_place",
    "keep",
    "mix",
    "mix_in_place",
    "normal",
    "numpy_serves",
    "threshold",
    "traced",
    "uniform",
    "words",
]

_CHUNK = 65536
_HALF = 1 << 31
MOST_UNITS = 1 << 32
"""The units of the largest mask: each has a number of 32 bits, and would meet another's beyond."""
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Source:
    """What a draw may depend on: key, training step, the device to draw on, and the view."""

    key: Key
    step: Word = 0
    device: torch.device = _CPU
    view: int = 0


def bits(key: Key, index: Tensor) -> Tensor:
    """Random bits, as int32, for each int32 `index`; in strata where the key has some."""
    return stratified_bits(key, index) if key.strata else independent_bits(key, index)


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
        draw = _independent if key.strata is None else _stratified
        return torch.from_numpy(draw(key, count).view(np.int32)).view(shape)
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


def _independent(key: Key, count: int) -> Words:
    # A call of NumPy costs a third of a torch call, which is what small draws pay for; chunks
    # stay in cache, which makes large ones several times faster.
    out, spare = np.arange(count, dtype=np.uint32), np.empty(min(count, _CHUNK), np.uint32)
    for start in range(0, count, _CHUNK):
        part = out[start : start + _CHUNK]
        draw_in_place(part, spare[: len(part)], *key.numbers)
    return out


def _stratified(key: Key, count: int) -> Words:
    out = np.arange(count, dtype=np.uint32)
    for start in range(0, count, _CHUNK):
        part = out[start : start + _CHUNK]
        part[:] = stratified_bits(key, part)
    return out


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
    """Standard normal float32 numbers, never infinite.

    Independent ones come from pairs of uniform numbers (Box & Muller, 1958); stratified ones from
    one each by the inverse of the distribution function, which keeps strata apart.
    """
    key, device = source.key.in_transforms(source.device), source.device
    if key.strata is not None:
        # The middles of 2**24 cells of (-1, 1), which float32 holds exactly.
        cells = ((_words(key.fold(1), shape, device) >> 8) & 0xFFFFFF) * 2 + (1 - (1 << 24))
        return cells.float().mul_(2.0**-24).erfinv_().mul_(math.sqrt(2))
    radius, angle = _uniform(key.fold(1), shape, device), _uniform(key.fold(2), shape, device)
    angle = angle.mul_(2 * math.pi).cos_()
    return radius.neg_().log1p_().mul_(-2).sqrt_().mul_(angle)
