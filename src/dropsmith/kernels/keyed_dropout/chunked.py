"""The same mask drawn in place over chunks that stay in cache, and drawn again in backward.

NumPy does the integer work: its unsigned shifts need no mask and a call of it costs a third of a
torch call, which is what small tensors pay for. Selecting by AND with all ones or all zeros is
several times faster than comparing and multiplying, and turns a dropped infinity into zero.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropsmith.kernels.keyed_dropout.layout import channels_last
from dropsmith.rng import Key, Words, mix_in_place, threshold

# Large enough that the cost of a call is spread, small enough that the buffers stay in cache.
CHUNK = 65536
_INTEGER = {8: torch.int64, 4: torch.int32, 2: torch.int16}
_ONE = np.uint32(1)

Integers = NDArray[np.signedinteger]


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    words = tuple((int(key.first) & 0xFFFFFFFF, int(key.second) & 0xFFFFFFFF) for key in keys)
    return _Regenerated.apply(x, words, float(rate))  # pyright: ignore[reportReturnType]


class _Regenerated(torch.autograd.Function):
    """Multiplication by a mask that is its own derivative, so backward is forward again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: tuple[tuple[int, int], ...], rate: float) -> Tensor:
        ctx.keys, ctx.rate = keys, rate
        return _masked(x, keys, rate)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:
        # Through `apply`, so that a second derivative passes the same mask again.
        return _Regenerated.apply(grads[0], ctx.keys, ctx.rate), None, None  # pyright: ignore


def _masked(given: Tensor, keys: tuple[tuple[int, int], ...], rate: float) -> Tensor:
    # Convolution and normalisation are slower where one map lies by channels and the other by rows.
    together = channels_last(given)
    x = given if together else given.contiguous()
    out = torch.empty_like(x)
    integer = _INTEGER[x.element_size()]
    source, target = (_memory(one, together).view(integer).numpy() for one in (x.detach(), out))
    length = x.numel() // len(keys)
    units = _Together.of(x, len(keys)) if together and length else _InOrder()
    for view, key in enumerate(keys):
        part = slice(view * length, (view + 1) * length)
        _select(source[part], target[part], key, rate, units)
    return out.mul_(1 / (1 - rate))


def _memory(x: Tensor, together: bool) -> Tensor:
    return (x.permute(0, 2, 3, 1) if together else x).view(-1)


class _InOrder:
    """Units that lie in the order in which they count."""

    step = CHUNK

    def write(self, start: int, word: Words) -> None:
        """Write the numbers of the units that lie at `start` and behind it."""
        np.add(_counting()[: len(word)], np.uint32(start), word)


@dataclass(frozen=True)
class _Together:
    """Units of a view whose channels lie together, behind the picture, and count in reading order.

    Args:
        pixels: what the first unit of each pixel counts, row after row.
        channels: what each channel adds.
        step: units of whole pixels.
    """

    pixels: Words
    channels: Words
    step: int

    @classmethod
    def of(cls, x: Tensor, views: int) -> "_Together":
        """Those of a batch of several views."""
        rows, channels, height, width = x.shape[0] // views, *x.shape[1:]
        picture = np.arange(height * width, dtype=np.uint32)
        first = np.arange(rows, dtype=np.uint32) * np.uint32(channels * height * width)
        pixels = (first[:, None] + picture).ravel()
        beside = np.arange(channels, dtype=np.uint32) * np.uint32(height * width)
        return cls(pixels, beside, max(CHUNK // channels, 1) * channels)

    def write(self, start: int, word: Words) -> None:
        """Write the numbers of the units that lie at `start` and behind it."""
        first, count = start // len(self.channels), len(word) // len(self.channels)
        pixels = self.pixels[first : first + count, None]
        np.add(pixels, self.channels, word.reshape(count, len(self.channels)))


def _select(
    source: Integers,
    target: Integers,
    key: tuple[int, int],
    rate: float,
    units: _InOrder | _Together,
) -> None:
    """Copy the elements that are kept and put zeros where the others were."""
    limit = np.uint32(threshold(rate))
    word, spare = np.empty((2, min(units.step, len(source))), np.uint32)
    for start in range(0, len(source), units.step):
        stop = min(start + units.step, len(source))
        units.write(start, word[: stop - start])
        kept = _kept(word[: stop - start], spare[: stop - start], key, limit)
        # All ones stay all ones when widened by sign extension or narrowed by truncation.
        np.bitwise_and(
            source[start:stop], kept.astype(source.dtype, copy=False), target[start:stop]
        )


def _kept(word: Words, spare: Words, key: tuple[int, int], limit: np.uint32) -> Integers:
    """All ones where the element is kept and zero where it is dropped, in place of its number."""
    np.bitwise_xor(word, np.uint32(key[0]), word)
    mix_in_place(word, spare)
    np.add(word, np.uint32(key[1]), word)
    mix_in_place(word, spare)
    # Thirty-one bits less the limit: negative exactly where the element is dropped.
    np.right_shift(word, _ONE, word)
    np.subtract(word, limit, word)
    signed = word.view(np.int32)
    np.right_shift(signed, 31, signed)
    return np.invert(signed, signed)


@lru_cache(maxsize=1)
def _counting() -> Words:
    return np.arange(CHUNK, dtype=np.uint32)
