"""The mask drawn in a GPU's registers, where it is used and nowhere else: one launch each way."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.kernels import triton_available
from dropsmith.kernels.keyed_dropout.memory_order import channels_last
from dropsmith.kernels.self_adjoint import self_adjoint
from dropsmith.rng import Key, threshold

TYPES = (torch.float32, torch.bfloat16, torch.float16)
TILE = 1024
_Words = tuple[int, int]


def serves(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> bool:
    """Say whether the kernel can run: on a GPU, with keys and a rate that are numbers."""
    words = [word for key in keys for word in (key.first, key.second)]
    plain = type(x) in (Tensor, nn.Parameter) and all(isinstance(word, int) for word in words)
    small = x.dtype in TYPES and x.numel() < 2**31 - TILE
    return x.is_cuda and plain and small and isinstance(rate, int | float) and triton_available()


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    words = tuple((_to_int32(int(key.first)), _to_int32(int(key.second))) for key in keys)
    return self_adjoint(x, partial(_masked, keys=words, rate=float(rate)))


def _masked(x: Tensor, keys: tuple[_Words, ...], rate: float) -> Tensor:
    together = channels_last(x)
    dense = x if together else x.contiguous()
    out = _fill(torch.empty_like(dense), dense, keys, rate, together)
    return out if together or x.is_contiguous() else torch.empty_like(x).copy_(out)


def _fill(out: Tensor, x: Tensor, keys: tuple[_Words, ...], rate: float, together: bool) -> Tensor:
    from dropsmith.kernels.keyed_dropout.triton_drop import drop

    length = x.numel() // len(keys)
    channels, pixels = (x.shape[1], x.shape[2] * x.shape[3]) if together else (1, 1)
    launch: Any = drop[(-(-length // TILE),)]
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(x):
        for view, key in enumerate(keys if length else ()):
            source, target = (_of_view(tensor, view, length) for tensor in (x, out))
            numbers = length, *key, int(threshold(rate)), 1 / (1 - rate), channels, pixels
            launch(source, target, *numbers, together=together, tile=TILE, num_warps=4)
    return out


def _of_view(x: Tensor, view: int, length: int) -> Tensor:
    """A tensor whose memory begins with that of a view, which is all that a kernel is told."""
    if not view:
        return x
    return x.detach().as_strided((length,), (1,), x.storage_offset() + view * length)


def _to_int32(word: int) -> int:
    word &= 0xFFFFFFFF
    return word - (1 << 32) if word >> 31 else word
