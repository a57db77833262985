"""The same mask drawn in place over chunks that stay in cache, and drawn again in backward.

NumPy does the integer work: its unsigned shifts need no mask and a call of it costs a third of a
torch call, which is what small tensors pay for. Selecting by AND with all ones or all zeros is
several times faster than comparing and multiplying, and turns a dropped infinity into zero.
"""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    x = given.contiguous()
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    integer = _INTEGER[x.element_size()]
    source = x.detach().view(-1).view(integer).numpy()
    target = out.view(-1).view(integer).numpy()
    length = x.numel() // len(keys)
    for view, key in enumerate(keys):
        part = slice(view * length, (view + 1) * length)
        _select(source[part], target[part], key, rate)
    return _laid_out_as(given, out.mul_(1 / (1 - rate)))


def _laid_out_as(given: Tensor, out: Tensor) -> Tensor:
    # Convolution and normalisation are slower where one map lies by channels and the other by rows.
    if given.is_contiguous() or given.ndim != 4:
        return out
    together = given.is_contiguous(memory_format=torch.channels_last)
    return out.contiguous(memory_format=torch.channels_last) if together else out


def _select(source: Integers, target: Integers, key: tuple[int, int], rate: float) -> None:
    """Copy the elements that are kept and put zeros where the others were."""
    limit = np.uint32(threshold(rate))
    index = _counting()
    word, spare = np.empty((2, min(CHUNK, len(source))), np.uint32)
    for start in range(0, len(source), CHUNK):
        stop = min(start + CHUNK, len(source))
        count = stop - start
        kept = _kept(index[:count], start, word[:count], spare[:count], key, limit)
        # All ones stay all ones when widened by sign extension or narrowed by truncation.
        np.bitwise_and(
            source[start:stop], kept.astype(source.dtype, copy=False), target[start:stop]
        )


def _kept(
    index: Words, start: int, word: Words, spare: Words, key: tuple[int, int], limit: np.uint32
) -> Integers:
    """All ones where the element is kept and zero where it is dropped, in place of `word`."""
    np.add(index, np.uint32(start), word)
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
