"""Products with a weight that oneDNN has laid out beforehand.

The operation is private to torch: it is looked for, and without it the plain product serves.
"""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

_SMALLEST = 64 * 64
"""Below this many entries laying out costs more than it saves."""


def packs(weight: Tensor) -> bool:
    """Whether a weight can be laid out: float32 on the CPU, in a torch that has the operation."""
    plain = weight.device.type == "cpu" and weight.dtype == torch.float32
    return plain and weight.numel() >= _SMALLEST and _available()


@lru_cache(maxsize=1)
def _available() -> bool:
    room = torch.ops.mkldnn
    names = ("_linear_pointwise", "_reorder_linear_weight")
    if not torch.backends.mkldnn.is_available() or not all(hasattr(room, name) for name in names):
        return False
    try:
        one = packed(torch.ones(64, 64), 2)(torch.ones(2, 64))
    except (RuntimeError, NotImplementedError, TypeError):
        return False
    return bool((one == 64).all())


def packed(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """See `dropsmith.kernels.many_products.many_products`."""
    room = torch.ops.mkldnn
    laid_out = room._reorder_linear_weight(weight.detach(), rows)
    return lambda x: room._linear_pointwise(x, laid_out, None, "none", [], "")
