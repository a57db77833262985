"""Keyed dropout by the kernel for a tensor; the kernel for small CPU tensors is here.

A Python call costs more than the arithmetic of a few thousand elements, so small tensors take few
calls: one array for all views, and torch's own backward.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from dropsmith.errors import ViewError
from dropsmith.kernels.keyed_dropout import chunked, reference, stratified, triton
from dropsmith.kernels.self_adjoint import LARGEST_MASK
from dropsmith.rng import MOST_UNITS, Key, Words, check_unit_count, mix_in_place, threshold
from dropsmith.transforms import transforms_active

_SELECT = torch.ops.aten.threshold_backward.default
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}
_TYPES = (*_NUMPY, torch.float16, torch.bfloat16)


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """Drop each element with chance `rate` and scale the rest by 1 / (1 - rate).

    A dropped element becomes zero even if it was infinite. The result has the memory format that
    torch's own dropout would give it. Only the keys are kept for backward, or the mask if `x` has
    64 KiB or less on a CPU. In a compiled graph and under `torch.func` the reference runs, which
    compilers fuse and transforms support.

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
    words = [key.numbers for key in keys]
    if len(words) == 1:
        first, second = np.uint32(words[0][0]), np.uint32(words[0][1])
    else:
        first, second = np.array(words, np.uint32).T[:, :, None]
    word = np.bitwise_xor(_numbers()[: x.numel() // len(keys)], first)
    spare = np.empty_like(word)
    mix_in_place(word, spare)
    np.add(word, second, word)
    mix_in_place(word, spare)
    keep, scale = np.greater_equal(word, _limit(rate)).reshape(x.shape), 1 / (1 - rate)
    number = _NUMPY.get(x.dtype)
    # The mask of half precision holds ones: 1 / (1 - rate) rounded to a half errs by up to 0.4 %.
    mask = torch.from_numpy(keep if number is None else np.multiply(keep, number(scale)))
    if number is None:
        mask = mask.to(x.dtype)
    if not x.is_contiguous():
        mask = torch.empty_like(x, dtype=mask.dtype).copy_(mask)
    # torch's function for the gradient of a threshold: its first argument where the mask is above
    # zero, else zero, infinities included, with derivatives of every order.
    return _SELECT(x, mask, 0) * scale if number is None else _SELECT(x * mask, mask, 0)


@lru_cache(maxsize=1)
def _numbers() -> Words:
    return np.arange(LARGEST_MASK // 2, dtype=np.uint32)


@lru_cache(maxsize=64)
def _limit(rate: float) -> np.uint32:
    """The 32-bit number below which an element is dropped with chance `rate`."""
    return np.uint32(2 * int(threshold(rate)))
