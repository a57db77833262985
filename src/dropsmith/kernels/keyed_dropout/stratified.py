"""Masks of views that are stratified together, on a CPU.

Strata alone decide about nearly all elements: random bits of a view are drawn only for elements in
the stratum that the rate cuts.
"""

from functools import lru_cache, partial
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropsmith.kernels.keyed_dropout.chunked import CHUNK, INTEGER
from dropsmith.kernels.self_adjoint import self_adjoint
from dropsmith.rng import Key, Words, draw_in_place, threshold
from dropsmith.strata import Orders, limits

_STRATA_AT_ONCE = 4 * CHUNK
"""Elements of a chunk: a stratum has one byte, a fourth of a word of random bits."""
_FEW_UNITS = 1 << 14
"""Units of a view whose orders are held for the next call; of all that are held, some megabytes."""


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    return self_adjoint(x, partial(_masked, keys=keys, rate=rate))


def _masked(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    length = x.numel() // len(keys)
    masks = [keep_masks(tuple(block), length, rate) for _, block in groupby(keys, _order)]
    mask = (masks[0] if len(masks) == 1 else np.concatenate(masks)).reshape(x.shape)
    x, scale = x.detach(), 1 / (1 - rate)
    if not x.is_contiguous():
        return torch.where(torch.from_numpy(mask), x * scale, torch.zeros((), dtype=x.dtype))
    integer = INTEGER[x.element_size()]
    source = x.view(integer).numpy()
    # All ones for kept elements: an AND takes half the time of `where`.
    ones = np.negative(mask.view(np.int8).astype(source.dtype))
    return torch.from_numpy(np.bitwise_and(source, ones, ones)).view(x.dtype).mul_(scale)


def _order(key: Key) -> Key:
    assert key.strata is not None
    return key.strata.order


def keep_masks(keys: tuple[Key, ...], length: int, rate: float) -> NDArray[np.bool_]:
    """The mask of each view, `[views, length]`: True where an element is kept.

    Args:
        keys: one for each view, with strata of one order.
        length: the number of elements of a view.
        rate: probability of dropping.
    """
    out = np.empty((len(keys), length), np.bool_)
    at_once = max(_STRATA_AT_ONCE // max(length, 1), 1)
    for start in range(0, length, CHUNK):
        index = np.arange(start, min(start + CHUNK, length), dtype=np.uint32)
        strata = keys[0].strata
        assert strata is not None
        if len(index) > _FEW_UNITS:
            orders = Orders.of(strata.order, index, strata.count)
        else:
            orders = _orders(strata.order, start, len(index), strata.count)
        for first in range(0, len(keys), at_once):
            views = slice(first, first + at_once)
            part = out[views, start : start + len(index)]
            _write(part, keys[views], index, orders, int(threshold(rate)))
    return out


@lru_cache(maxsize=16)
def _orders(order: Key, start: int, length: int, count: int) -> Orders:
    """The orders of some units; the views of a block may come in several calls."""
    return Orders.of(order, np.arange(start, start + length, dtype=np.uint32), count)


def _write(
    out: NDArray[np.bool_], keys: tuple[Key, ...], index: Words, orders: Orders, limit: int
) -> None:
    numbers = [int(key.strata.number) for key in keys if key.strata is not None]
    strata = orders.rows(numbers)
    whole, rest = limits(limit, orders.count)
    if not rest:
        np.greater_equal(strata, whole, out)
        return
    np.greater(strata, whole, out)
    # NumPy takes several times as long for indices of two dimensions.
    view, place = np.divmod(np.flatnonzero(strata == whole), len(index))
    first, second = np.array([key.numbers for key in keys], np.uint32).T
    word = index[place]
    draw_in_place(word, np.empty_like(word), first[view], second[view])
    out[view, place] = word >= np.uint32(rest)
