"""The definition."""

from collections.abc import Callable

from torch import Tensor


def plain_matmul(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """See `dropsmith.kernels.prepacked_matmul.prepacked_matmul`."""
    transposed = weight.detach().t()
    return lambda x: x @ transposed
