"""The mask of a small tensor, drawn once and kept for backward.

A call of Python costs more here than the arithmetic of a few thousand elements, so everything is
done in as few calls as possible: one array for all views, and torch's own backward.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dropsmith.kernels.self_adjoint import LARGEST_MASK
from dropsmith.rng import Key, Words, mix_in_place, threshold

_SELECT = torch.ops.aten.threshold_backward.default
_NUMPY = {torch.float32: np.float32, torch.float64: np.float64}
_TYPES = (*_NUMPY, torch.float16, torch.bfloat16)


def serves(x: Tensor) -> bool:
    """Say whether the mask is small enough to be kept."""
    return x.nbytes <= LARGEST_MASK and x.dtype in _TYPES


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    keep_mask, scale = _draw_mask(x, keys, 2 * int(threshold(rate))), 1 / (1 - rate)
    number = _NUMPY.get(x.dtype)
    if number is None:
        # A half's mask holds ones: rounding 1 / (1 - rate) to a half is off by up to 0.4 %.
        mask = _match_layout(x, torch.from_numpy(keep_mask).to(x.dtype))
        return _SELECT(x, mask, 0) * scale
    mask = _match_layout(x, torch.from_numpy(np.multiply(keep_mask, number(scale))))
    # Torch's function for the gradient of a threshold: its first argument where the mask is above
    # zero, else zero, infinities included, with derivatives of every order.
    return _SELECT(x * mask, mask, 0)


def _match_layout(x: Tensor, mask: Tensor) -> Tensor:
    return mask if x.is_contiguous() else torch.empty_like(x, dtype=mask.dtype).copy_(mask)


def _draw_mask(x: Tensor, keys: tuple[Key, ...], limit: int) -> NDArray[np.bool_]:
    """True for elements that are kept, in the sizes of `x`; bits below `limit` drop one."""
    numbers = _numbers()[: x.numel() // len(keys)]
    words = [(int(key.first) & 0xFFFFFFFF, int(key.second) & 0xFFFFFFFF) for key in keys]
    if len(words) == 1:
        first, second = np.uint32(words[0][0]), np.uint32(words[0][1])
    else:
        first, second = np.array(words, np.uint32).T[:, :, None]
    word = np.bitwise_xor(numbers, first)
    spare = np.empty_like(word)
    mix_in_place(word, spare)
    np.add(word, second, word)
    mix_in_place(word, spare)
    return np.greater_equal(word, np.uint32(limit)).reshape(x.shape)


@lru_cache(maxsize=1)
def _numbers() -> Words:
    return np.arange(LARGEST_MASK // 2, dtype=np.uint32)
