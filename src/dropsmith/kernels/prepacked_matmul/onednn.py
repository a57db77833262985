"""Products with a weight that oneDNN has reordered once.

The operation is private to torch. Where a version of torch lacks it, the plain product is used,
with a warning.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

_OPERATIONS = ("_linear_pointwise", "_reorder_linear_weight")
_SMALLEST = 64 * 64
"""Entries of a weight below which reordering costs more than it saves."""


def can_prepack(weight: Tensor) -> bool:
    """Say whether a weight can be reordered: float32 on the CPU, and torch has the operation."""
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and weight.numel() >= _SMALLEST and _available()


@lru_cache(maxsize=1)
def _available() -> bool:
    """Say whether this torch has the operation; warn once if it does not."""
    missing = _missing()
    if missing is not None:
        warnings.warn(
            f"torch {torch.__version__} {missing}, so recurrent layers with noise use "
            "plain products: the same numbers, more slowly",
            stacklevel=2,
        )
    return missing is None


def _missing() -> str | None:
    operations = torch.ops.mkldnn
    if not torch.backends.mkldnn.is_available():
        return "was built without oneDNN"
    for name in _OPERATIONS:
        if not hasattr(operations, name):
            return f"has no mkldnn::{name}"
    try:
        product = prepack(torch.ones(64, 64), 2)(torch.ones(2, 64))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        return f"cannot run oneDNN's product with a reordered weight ({error})"
    return None if bool((product == 64).all()) else "returns a wrong product from oneDNN"


def prepack(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """See `dropsmith.kernels.prepacked_matmul.prepacked_matmul`."""
    operations = torch.ops.mkldnn
    packed_weight = operations._reorder_linear_weight(weight.detach(), rows)
    return lambda x: operations._linear_pointwise(x, packed_weight, None, "none", [], "")
