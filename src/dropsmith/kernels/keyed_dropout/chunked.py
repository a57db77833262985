"""The mask in chunks that stay in cache, drawn in place, and drawn again in backward.

NumPy computes the integers: its shifts are unsigned, and its calls cost a third of torch's. An AND
with all ones or all zeros is several times faster than comparing and multiplying, and makes zero of
a dropped infinity.
"""

from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropsmith.kernels.keyed_dropout.memory_order import (
    PermutedOrder,
    ReadingOrder,
    dense,
    empty_as,
    order_of,
)
from dropsmith.kernels.self_adjoint import self_adjoint
from dropsmith.rng import Key, Words, draw_in_place, threshold

# Large enough that calls cost little, small enough that the buffers stay in cache.
CHUNK = 65536
INTEGER = {8: torch.int64, 4: torch.int32, 2: torch.int16}
_ONE_BIT = np.uint32(1)

Integers = NDArray[np.signedinteger]


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    words = tuple(key.numbers for key in keys)
    return self_adjoint(x, partial(_masked, keys=words, rate=float(rate)))


def _masked(x: Tensor, keys: tuple[tuple[int, int], ...], rate: float) -> Tensor:
    x = x.detach()
    x = x if dense(x) else x.clone()
    order, out = order_of(x), empty_as(x)
    slowest = next((dim for dim in order if x.shape[dim] != 1), 0)
    if len(keys) > 1 and slowest:
        # The views are not contiguous one after the other.
        return out.copy_(_masked(x.contiguous(), keys, rate))
    integer = INTEGER[x.element_size()]
    source, target = (y.permute(order).view(-1).view(integer).numpy() for y in (x, out))
    length = x.numel() // len(keys)
    if 0 < length <= CHUNK // 2 and len(keys) > 1 and x.is_contiguous():
        _select_views(source, target, keys, rate)
        return out.mul_(1 / (1 - rate))
    numbers = _numbers(x, order, len(keys)) if length else _reading_order()
    for view, key in enumerate(keys):
        part = slice(view * length, (view + 1) * length)
        _select(source[part], target[part], key, rate, numbers)
    return out.mul_(1 / (1 - rate))


def _numbers(x: Tensor, order: tuple[int, ...], views: int) -> ReadingOrder | PermutedOrder:
    if x.is_contiguous():
        return _reading_order()
    sizes = tuple(x.shape) if views == 1 else (x.shape[0] // views, *x.shape[1:])
    return PermutedOrder.of(sizes, order, CHUNK)


def _select(
    source: Integers,
    target: Integers,
    key: tuple[int, int],
    rate: float,
    numbers: ReadingOrder | PermutedOrder,
) -> None:
    """Copy the kept elements, and write zeros for the dropped ones."""
    limit = np.uint32(threshold(rate))
    word, spare = np.empty((2, min(numbers.step, len(source))), np.uint32)
    for start in range(0, len(source), numbers.step):
        stop = min(start + numbers.step, len(source))
        numbers.write(start, word[: stop - start])
        keep_mask = _draw_mask(word[: stop - start], spare[: stop - start], key, limit)
        # Sign extension and truncation keep all ones and all zeros.
        np.bitwise_and(
            source[start:stop], keep_mask.astype(source.dtype, copy=False), target[start:stop]
        )


def _select_views(
    source: Integers, target: Integers, keys: tuple[tuple[int, int], ...], rate: float
) -> None:
    """`_select` of many small views, as many at a time as fit into a chunk."""
    length = len(source) // len(keys)
    first, second = np.array(keys, np.uint32).T[:, :, None]
    at_once, limit = CHUNK // length, np.uint32(threshold(rate))
    numbers = np.arange(length, dtype=np.uint32)
    word, spare = np.empty((2, min(at_once, len(keys)), length), np.uint32)
    for start in range(0, len(keys), at_once):
        views = slice(start, min(start + at_once, len(keys)))
        count = views.stop - views.start
        word[:count] = numbers
        keep_mask = _draw_mask(word[:count], spare[:count], (first[views], second[views]), limit)
        units = slice(views.start * length, views.stop * length)
        keep_mask = keep_mask.reshape(-1).astype(source.dtype, copy=False)
        np.bitwise_and(source[units], keep_mask, target[units])


def _draw_mask(word: Words, spare: Words, key: tuple[Any, Any], limit: np.uint32) -> Integers:
    """Replace each element's number by all ones if it is kept, or zero if it is dropped."""
    draw_in_place(word, spare, *key)
    # Thirty-one bits minus the limit: negative exactly for dropped elements.
    np.right_shift(word, _ONE_BIT, word)
    np.subtract(word, limit, word)
    integers = word.view(np.int32)
    np.right_shift(integers, 31, integers)
    return np.invert(integers, integers)


@lru_cache(maxsize=1)
def _reading_order() -> ReadingOrder:
    return ReadingOrder(CHUNK)
