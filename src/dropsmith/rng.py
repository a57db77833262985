"""Draws from a source of random bits: words, coin flips, uniform and normal numbers of a shape."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dropsmith.errors import NoiseError
from dropsmith.key_series import made_ahead
from dropsmith.keys import Key, Make, Strata, Word, Words, draw_in_place, mix, mix_in_place
from dropsmith.keys import bits as independent_bits
from dropsmith.portable import (
    call,
    exporting,
    inverse_error_function,
    is_below,
    shift_right,
)
from dropsmith.strata import Orders, limits, stratified_bits
from dropsmith.transforms import transforms_active

__all__ = [
    "MOST_UNITS",
    "Key",
    "Make",
    "Source",
    "StackedSources",
    "Strata",
    "Word",
    "Words",
    "against",
    "bits",
    "check_unit_count",
    "draw_in_place",
    "keep",
    "keep_each",
    "made_ahead",
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
    view: Word = 0


class StackedSources(Sequence[Source]):
    """The sources of views that are stacked in one batch, with tensors for all of them in one key.

    A graph that is exported then has the operations of one draw, whatever the number of views.

    Args:
        together: one source, whose view, key and strata hold tensors `[views]`. What is drawn from
            it has an axis of views before all others.
    """

    def __init__(self, together: Source) -> None:
        self.together = together

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        key = _changed(self.together.key, lambda word: word[index])
        return replace(self.together, key=key, view=self._views[index])

    @property
    def _views(self) -> Tensor:
        assert isinstance(self.together.view, Tensor)
        return self.together.view


def against(key: Key, axes: int) -> Key:
    """A key whose words of several views lie along the first of some axes; any other as it is."""
    return _changed(key, lambda word: word.view(-1, *[1] * axes))


def _changed(key: Key, change: Callable[[Tensor], Tensor]) -> Key:
    """A key of several views, whose words went through `change`; any other as it is."""

    def of_views(word: Word) -> Word:
        return change(word) if isinstance(word, Tensor) and word.ndim else word

    strata = key.strata
    if strata is not None:
        strata = replace(
            strata, order=_changed(strata.order, change), number=of_views(strata.number)
        )
    return Key(of_views(key.first), of_views(key.second), strata)


def bits(key: Key, index: Tensor) -> Tensor:
    """Random bits, as int32, for each int32 `index`; in strata where the key has some."""
    if exporting():
        return call(_bits, *_parts(key), index, types=(torch.int32,))
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
    return bits(*_index(key, shape, device)).view(shape)


def _index(key: Key, shape: tuple[int, ...], device: torch.device) -> tuple[Key, Tensor]:
    """The numbers of the positions of a shape, and a key that broadcasts against them.

    Where the key is of several views, so is the first axis of the shape.
    """
    of_views = isinstance(key.first, Tensor) and key.first.ndim
    return against(key, 1), _numbers(math.prod(shape[1:] if of_views else shape), device)


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
    ahead = made_ahead(key, count, _words_alone)
    if ahead is not None:
        return ahead.copy()
    out, spare = np.arange(count, dtype=np.uint32), np.empty(min(count, _CHUNK), np.uint32)
    for start in range(0, count, _CHUNK):
        part = out[start : start + _CHUNK]
        draw_in_place(part, spare[: len(part)], *key.numbers)
    return out


def _words_alone(words: Words) -> Sequence[Words]:
    return list(words)


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
    if exporting():
        key, index = _index(source.key.in_transforms(source.device), shape, source.device)
        return keep_each(key, index, rate).view(shape)
    return ((words(source, shape) >> 1) & 0x7FFFFFFF) >= threshold(rate)


def keep_each(key: Key, index: Tensor, rate: float | Tensor) -> Tensor:
    """Booleans that are False with chance `rate`, one for each int32 `index`."""
    limit = threshold(rate)
    if not exporting():
        return ((bits(key, index) >> 1) & 0x7FFFFFFF) >= limit
    return call(_keep, *_parts(key), index, limit, types=(torch.bool,))


def _parts(key: Key) -> tuple[Word | None, ...]:
    """The words and numbers of a key; see `_of_parts`."""
    strata = key.strata
    if strata is None:
        return (key.first, key.second, *[None] * 4)
    order = strata.order
    return key.first, key.second, order.first, order.second, strata.number, strata.count


def _of_parts(
    first: Word, second: Word, order_first: Any, order_second: Any, number: Any, count: Any
) -> Key:
    strata = None if count is None else Strata(Key(order_first, order_second), number, count)
    return Key(first, second, strata)


def _keep(*values: Any) -> Tensor:
    """`keep_each` of the parts of a key, an index and a limit, in portable lines."""
    *parts, index, limit = values
    key = _of_parts(*parts)
    if key.strata is None or not isinstance(limit, int):
        return ~is_below(_bits(*parts, index), limit * 2)
    stratum, place = limits(limit, key.strata.count)
    strata = Orders.of(key.strata.order, index, key.strata.count).strata(key.strata.number)
    if not place:
        return strata >= stratum
    kept_there = ~is_below(independent_bits(key, index), place)
    return (strata > stratum) | ((strata == stratum) & kept_there)


def _bits(*values: Any) -> Tensor:
    """`bits` of the parts of a key and an index."""
    *parts, index = values
    key = _of_parts(*parts)
    return stratified_bits(key, index) if key.strata else independent_bits(key, index)


def uniform(source: Source, shape: tuple[int, ...]) -> Tensor:
    """float32 numbers in [0, 1), on a grid of 2⁻²⁴."""
    return _uniform(source.key.in_transforms(source.device), shape, source.device)


def _uniform(key: Key, shape: tuple[int, ...], device: torch.device) -> Tensor:
    return _upper_bits(_words(key, shape, device)).float().mul_(2.0**-24)


def _upper_bits(word: Tensor) -> Tensor:
    """The upper 24 bits of words."""
    return shift_right(word, 8) if exporting() else (word >> 8) & 0xFFFFFF


def normal(source: Source, shape: tuple[int, ...]) -> Tensor:
    """Standard normal float32 numbers, never infinite.

    Independent ones come from pairs of uniform numbers (Box & Muller, 1958); stratified ones from
    one each by the inverse of the distribution function, which keeps strata apart.
    """
    key, device = source.key.in_transforms(source.device), source.device
    if key.strata is not None:
        # The middles of 2**24 cells of (-1, 1), which float32 holds exactly.
        cells = _upper_bits(_words(key.fold(1), shape, device)) * 2 + (1 - (1 << 24))
        middles = cells.float().mul_(2.0**-24)
        if exporting():
            inverse = call(inverse_error_function, middles, types=(torch.float32,))
            return inverse * math.sqrt(2)
        return middles.erfinv_().mul_(math.sqrt(2))
    radius, angle = _uniform(key.fold(1), shape, device), _uniform(key.fold(2), shape, device)
    angle = angle.mul_(2 * math.pi).cos_()
    return radius.neg_().log1p_().mul_(-2).sqrt_().mul_(angle)
