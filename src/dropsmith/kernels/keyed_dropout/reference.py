"""The definition in plain tensor operations, for compilers and as the oracle of tests."""

from functools import partial

import torch
from torch import Tensor

from dropsmith.kernels.self_adjoint import self_adjoint
from dropsmith.rng import Key, Source, StackedSources, keep


def keyed_dropout(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """See `dropsmith.kernels.keyed_dropout.keyed_dropout`."""
    rows = x.shape[0] // len(keys) if len(keys) > 1 else 0
    shape = (rows, *x.shape[1:]) if len(keys) > 1 else tuple(x.shape)
    masks = [keep(Source(key, device=x.device), shape, rate) for key in keys]
    return _scaled(x, masks[0] if len(keys) == 1 else torch.cat(masks), rate)


def drop_stacked(x: Tensor, sources: StackedSources, rate: float | Tensor) -> Tensor:
    """The same for views whose keys are in tensors, in the operations of one view."""
    shape = (len(sources), x.shape[0] // len(sources), *x.shape[1:])
    return _scaled(x, keep(sources.together, shape, rate).flatten(0, 1), rate)


def _scaled(x: Tensor, mask: Tensor, rate: float | Tensor) -> Tensor:
    scale = 1 / (1 - rate)
    return torch.where(mask, x * scale, torch.zeros((), dtype=x.dtype, device=x.device))


def redrawn(x: Tensor, keys: tuple[Key, ...], rate: float | Tensor) -> Tensor:
    """The same with the mask drawn again in backward, for eager code without another kernel."""
    return self_adjoint(x, partial(keyed_dropout, keys=keys, rate=rate))
