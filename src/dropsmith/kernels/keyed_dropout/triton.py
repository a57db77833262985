"""The mask drawn in registers of a GPU and never stored: one launch forward, one backward."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.kernels import triton_available
from dropsmith.kernels.keyed_dropout.memory_order import channels_last
from dropsmith.kernels.self_adjoint import self_adjoint
from dropsmith.rng import Key, threshold
from dropsmith.strata import LARGEST, limits, prime_from

TYPES = (torch.float32, torch.bfloat16, torch.float16)
TILE = 1024


def serves(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> bool:
    """Say whether the kernel can run: on a GPU, with keys and a rate that are numbers."""
    strata = [key.strata for key in keys if key.strata is not None]
    if any(not isinstance(s.number, int) or prime_from(s.count) > LARGEST for s in strata):
        return False
    keys = (*keys, *(s.order for s in strata))
    words = [word for key in keys for word in (key.first, key.second)]
    plain = type(x) in (Tensor, nn.Parameter) and all(isinstance(word, int) for word in words)
    small = x.dtype in TYPES and x.numel() < 2**31 - TILE
    return x.is_cuda and plain and small and isinstance(rate, int | float) and triton_available()


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    return self_adjoint(x, partial(_masked, keys=keys, rate=float(rate)))


def _masked(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    together = channels_last(x)
    dense = x if together else x.contiguous()
    out = _fill(torch.empty_like(dense), dense, keys, rate, together)
    return out if together or x.is_contiguous() else torch.empty_like(x).copy_(out)


def _fill(out: Tensor, x: Tensor, keys: tuple[Key, ...], rate: float, together: bool) -> Tensor:
    from dropsmith.kernels.keyed_dropout.triton_drop import drop, drop_in_strata

    length = x.numel() // len(keys)
    channels, pixels = (x.shape[1], x.shape[2] * x.shape[3]) if together else (1, 1)
    grid, limit = (-(-length // TILE),), int(threshold(rate))
    # Triton launches on the current device, which may not be that of the tensors.
    with torch.cuda.device_of(x):
        for view, key in enumerate(keys if length else ()):
            source, target = (_of_view(tensor, view, length) for tensor in (x, out))
            numbers = source, target, length, *_words(key)
            layout = 1 / (1 - rate), channels, pixels
            settings = {"together": together, "tile": TILE, "num_warps": 4}
            if key.strata is None:
                launch: Any = drop[grid]
                launch(*numbers, limit, *layout, **settings)
                continue
            launch, count = drop_in_strata[grid], key.strata.count
            whole, rest = limits(limit, count)
            draw = *_words(key.strata.order), key.strata.number, whole, _to_int32(rest)
            launch(*numbers, *draw, *layout, count, prime_from(count), **settings)
    return out


def _words(key: Key) -> tuple[int, int]:
    return _to_int32(int(key.first)), _to_int32(int(key.second))


def _of_view(x: Tensor, view: int, length: int) -> Tensor:
    """A tensor whose memory begins at a view, for a kernel reads only an address."""
    if not view:
        return x
    return x.detach().as_strided((length,), (1,), x.storage_offset() + view * length)


def _to_int32(word: int) -> int:
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >> 31 else word
