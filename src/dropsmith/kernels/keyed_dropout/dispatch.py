"""Keyed dropout by the kernel for a tensor; the kernel for small CPU tensors is here.

A Python call costs more than the arithmetic of a few thousand elements, so small tensors take few
calls: one array for all views, and torch's own backward.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isnan

import numpy as np
import torch
from torch import Tensor, nn

from dropsmith.errors import ViewError
from dropsmith.kernels.keyed_dropout import chunked, reference, stratified, triton
from dropsmith.kernels.self_adjoint import LARGEST_MASK
from dropsmith.rng import (
    MOST_UNITS,
    Key,
    Make,
    Words,
    check_unit_count,
    draw_in_place,
    made_ahead,
    threshold,
)
from dropsmith.transforms import transforms_active

_SELECT = torch.ops.aten.threshold_backward.default
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}
_TYPES = (*_NUMPY, torch.float16, torch.bfloat16)


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """Drop each element with chance `rate` and scale the rest by 1 / (1 - rate).

    A dropped element becomes zero even if it was infinite. So does its gradient, but for small CPU
    tensors of float32 and float64: there an infinite gradient becomes NaN, as in torch's dropout.

    The result has the memory format that torch's own dropout would give it. Only the keys are kept
    for backward, or the mask if `x` has 64 KiB or less on a CPU. In a compiled graph and under
    `torch.func` the reference runs, which compilers fuse and transforms support.

    Args:
        x: any floating tensor; dimension 0 holds `len(keys)` views of equal length, in order.
        keys: one key for each view; an element's index counts within its view.
        rate: probability of dropping, in [0, 1).

    Raises:
        NoiseError: a view has more than 2³² elements.
        ViewError: dimension 0 is no multiple of the number of keys.
    """
    stratify = keys[0].strata is not None
    if len(keys) > 1 and (x.ndim == 0 or x.shape[0] % len(keys)):
        raise ViewError(
            f"{len(keys)} views do not divide a tensor of sizes {tuple(x.shape)}\n"
            "  dimension 0 holds as many rows of each view, one view after the other"
        )
    if torch.compiler.is_compiling() or transforms_active():
        return reference.keyed_dropout(x, keys, rate)
    if x.numel() > MOST_UNITS:
        check_unit_count(x.numel() // len(keys))
    # A subclass may have no memory, as fake tensors have none.
    if x.is_cpu and (type(x) is Tensor or type(x) is nn.Parameter):
        if stratify:
            return stratified.keyed_dropout(x, keys, float(rate))
        if x.nbytes <= LARGEST_MASK and x.dtype in _TYPES:
            return drop_small(x, keys, float(rate))
        return chunked.keyed_dropout(x, keys, float(rate))
    if triton.serves(x, keys, rate):
        return triton.keyed_dropout(x, keys, float(rate))
    return reference.redrawn(x, keys, rate)


def drop_small(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """Drop the elements of a CPU tensor of up to `LARGEST_MASK` bytes; keep the mask for backward.

    Args:
        x: a floating tensor.
        keys: one key for each view.
        rate: probability of dropping.
    """
    mask = _mask(keys, x.shape, x.dtype, rate)
    if not x.is_contiguous():
        mask = torch.empty_like(x, dtype=mask.dtype).copy_(mask)
    # torch's function for the gradient of a threshold: its first argument where the mask is above
    # zero, else zero, infinities included, with derivatives of every order.
    if x.dtype not in _NUMPY:
        return _SELECT(x, mask, 0) * (1 / (1 - rate))
    product = x * mask
    # An infinite element times zero is NaN, which shows in the sum; a select in every forward and
    # backward would cost more.
    return _SELECT(product, mask, 0) if isnan(product.detach().sum()) else product


def _mask(keys: tuple[Key, ...], shape: torch.Size, dtype: torch.dtype, rate: float) -> Tensor:
    """The masks of some keys, one behind the other; what is kept has 1 / (1 - rate) there.

    In half precision it has 1, for a half would round 1 / (1 - rate) by up to 0.4 %.
    """
    if len(keys) > 1:
        shape = torch.Size((shape[0] // len(keys), *shape[1:]))
    make, count = _maker(shape, dtype, rate), shape.numel()
    masks: list[Tensor] = []
    for key in keys:
        mask = made_ahead(key, count, make)
        if mask is None:
            words = np.arange(count, dtype=np.uint32)[None]
            draw_in_place(words, np.empty_like(words), *key.numbers)
            (mask,) = make(words)
        masks.append(mask)
    return masks[0] if len(masks) == 1 else torch.cat(masks)


@lru_cache(maxsize=256)
def _maker(shape: torch.Size, dtype: torch.dtype, rate: float) -> Make:
    """What makes masks of one view of rows of random words."""
    limit, number = np.uint32(2 * int(threshold(rate))), _NUMPY.get(dtype)

    def make(words: Words) -> Sequence[Tensor]:
        mask = np.greater_equal(words, limit)
        if number is not None:
            mask = np.multiply(mask, number(1 / (1 - rate)), dtype=number)
        # A later step may save for backward what is made under inference mode.
        with torch.inference_mode(False):
            return torch.from_numpy(mask).to(dtype).view(len(words), *shape).unbind()

    return make
