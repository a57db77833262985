"""The definition."""

from collections.abc import Callable

from torch import Tensor


def plain(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """See `dropsmith.kernels.many_products.many_products`."""
    transposed = weight.detach().t()
    return lambda x: x @ transposed
