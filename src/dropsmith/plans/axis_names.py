"""Names of the dimensions of a module's tensor, from the module's type and a test run."""

from functools import lru_cache

import torch
from torch import nn

from dropsmith.axes import UNKNOWN
from dropsmith.plans.site import Kind

_SPATIAL = {
    3: ("batch", "channel", "time"),
    4: ("batch", "channel", "height", "width"),
    5: ("batch", "channel", "time", "height", "width"),
}


_IMAGE = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.dropout.Dropout1d,
    nn.modules.dropout.Dropout2d,
    nn.modules.dropout.Dropout3d,
    nn.GroupNorm,
    nn.Upsample,
)


_SEQUENCE = {
    1: ("batch",),
    2: ("batch", "unit"),
    3: ("batch", "time", "unit"),
}


_SEQUENCE_MODULES = (nn.RNNBase, nn.MultiheadAttention)
"""Modules of sequences that say by `batch_first` where the rows lie."""


_LAST_IS_UNIT = (nn.Linear, nn.LayerNorm, nn.Embedding)


def names_of(module: nn.Module, kind: Kind, ndim: int) -> tuple[str, ...]:
    """The axes of a tensor at a site; `?` where neither its `output_axes` nor the type tells.

    >>> names_of(nn.Conv2d(1, 1, 3), "output", 4)
    ('batch', 'channel', 'height', 'width')
    >>> names_of(nn.ReLU(), "output", 4)
    ('batch', '?', '?', '?')
    """
    if kind == "output":
        output_axes = _output_axes(module)
        if output_axes is not None and len(output_axes) == ndim:
            return output_axes
    # A compiler traces what a cache holds, and warns of the cache.
    names = _names_of_type if torch.compiler.is_compiling() else _names_of_known_type
    return names(type(module), kind, ndim, vars(module).get("batch_first", True))


def _names_of_type(
    module: type[nn.Module], kind: Kind, ndim: int, batch_first: bool
) -> tuple[str, ...]:
    if kind == "attention":
        return ("batch", "head", "time", "time") if ndim == 4 else ("batch", "time", "time")
    if kind == "functional" and ndim == 4:
        return ("batch", UNKNOWN, UNKNOWN, UNKNOWN)
    if issubclass(module, _IMAGE) and ndim in _SPATIAL:
        return _SPATIAL[ndim]
    if issubclass(module, _SEQUENCE_MODULES) and ndim == 3 and not batch_first:
        return ("time", "batch", "unit")
    if issubclass(module, _LAST_IS_UNIT) and ndim == 4:
        return ("batch", "height", "width", "unit")
    return _SEQUENCE.get(ndim, ("batch",) + (UNKNOWN,) * (ndim - 1))


_names_of_known_type = lru_cache(maxsize=1024)(_names_of_type)


def _output_axes(module: nn.Module) -> tuple[str, ...] | None:
    """The attribute `output_axes`, without the exception that modules raise where there is none."""
    axes = vars(module).get("output_axes")
    if axes is None and hasattr(type(module), "output_axes"):
        axes = getattr(module, "output_axes", None)
    return axes


def confirm_names(
    names: tuple[str, ...], sizes: tuple[int, ...], larger_sizes: tuple[int, ...]
) -> tuple[str, ...]:
    """The names after a run with B and one with B + 1 rows: only what grew is the batch.

    >>> confirm_names(("batch", "time", "unit"), (7, 2, 5), (7, 3, 5))
    ('time', 'batch', 'unit')
    >>> confirm_names(("batch", "unit"), (7, 5), (7, 5))
    ('?', 'unit')
    """
    if len(sizes) != len(larger_sizes):
        return (UNKNOWN,) * len(names)
    grew = [dim for dim, (a, b) in enumerate(zip(sizes, larger_sizes, strict=True)) if a != b]
    if len(grew) == 1 and names[grew[0]] == "batch":
        return names
    rest = [name for name in names if name != "batch"]
    if len(grew) == 1 and len(rest) == len(names) - 1:
        return (*rest[: grew[0]], "batch", *rest[grew[0] :])
    return tuple(UNKNOWN if name == "batch" else name for name in names)
