"""The same mask drawn in place over chunks that stay in cache, and drawn again in backward.

Selecting by AND with all ones or all zeros is several times faster on CPU than comparing and
multiplying, and turns a dropped infinity into zero.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dropsmith.rng import Key, Word, threshold

# Large enough that the cost of a call is spread, small enough that two scratch buffers stay in L2.
CHUNK = 65536
_INTEGER = {8: torch.int64, 4: torch.int32, 2: torch.int16}


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    words = tuple((_signed(key.first), _signed(key.second)) for key in keys)
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


def _masked(x: Tensor, keys: tuple[tuple[int, int], ...], rate: float) -> Tensor:
    x = x.contiguous()
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    whole, target = x.detach().view(-1), out.view(-1)
    length = whole.numel() // len(keys)
    for view, key in enumerate(keys):
        part = slice(view * length, (view + 1) * length)
        _fill(whole[part], target[part], key, rate)
    return out


def _fill(x: Tensor, out: Tensor, key: tuple[int, int], rate: float) -> None:
    integer = _INTEGER[x.element_size()]
    source, target = x.view(integer), out.view(integer)
    size = min(CHUNK, max(x.numel(), 1))
    index, word, spare = _scratch(size)
    limit = int(threshold(rate))
    for start in range(0, x.numel(), size):
        count = min(size, x.numel() - start)
        kept = _kept(index[:count], start, word[:count], spare[:count], key, limit)
        stop = start + count
        # int32 all-ones widen and narrow to all-ones, by sign extension and truncation.
        torch.bitwise_and(source[start:stop], kept.to(integer), out=target[start:stop])
        out[start:stop].mul_(1 / (1 - rate))


def _kept(
    index: Tensor, start: int, word: Tensor, spare: Tensor, key: tuple[int, int], limit: int
) -> Tensor:
    torch.add(index, start, out=word).bitwise_xor_(key[0])
    _mix_(word, spare)
    word.add_(key[1])
    _mix_(word, spare)
    # Thirty-one bits less the limit: negative exactly where the unit is dropped.
    word.bitwise_right_shift_(1).bitwise_and_(0x7FFFFFFF).sub_(limit)
    return word.bitwise_right_shift_(31).bitwise_not_()


def _mix_(word: Tensor, spare: Tensor) -> None:
    for shift, rest, factor in ((16, 0xFFFF, 0x7FEB352D), (15, 0x1FFFF, -0x7B935975)):
        torch.bitwise_right_shift(word, shift, out=spare)
        word.bitwise_xor_(spare.bitwise_and_(rest)).mul_(factor)
    torch.bitwise_right_shift(word, 16, out=spare)
    word.bitwise_xor_(spare.bitwise_and_(0xFFFF))


@lru_cache(maxsize=8)
def _counting(size: int) -> Tensor:
    return torch.arange(size, dtype=torch.int32)


def _scratch(size: int) -> tuple[Tensor, Tensor, Tensor]:
    # The counting part is only read, so threads may share it; the other two are written.
    rounded = CHUNK if size > CHUNK // 2 else 1 << (size - 1).bit_length()
    spare = torch.empty(2, size, dtype=torch.int32)
    return _counting(rounded)[:size], spare[0], spare[1]


def _signed(word: Word) -> int:
    word = int(word)
    return word - (1 << 32) if word & 0x80000000 else word
