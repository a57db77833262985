"""Products of many small matrices with one and the same weight, as every step of a recurrence."""

from collections.abc import Callable

from torch import Tensor, nn

from dropsmith.kernels.many_products.packed import packed, packs
from dropsmith.kernels.many_products.reference import plain

__all__ = ["many_products"]


def many_products(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """A function that takes `x` of `[rows, in]` to `x @ weight.T`; it has no gradient.

    Where oneDNN serves (float32 on the CPU) the weight is laid out once for that many rows, which
    makes each product up to four times faster.

    Args:
        weight: `[out, in]`.
        rows: how many rows each `x` has.
    """
    if type(weight) in (Tensor, nn.Parameter) and packs(weight):
        return packed(weight, rows)
    return plain(weight)
