"""Products of many small matrices with one and the same weight, as every step of a recurrence."""

from collections.abc import Callable

from torch import Tensor, nn

from dropsmith.kernels.double_backward import refuse_gradients
from dropsmith.kernels.prepacked_matmul.onednn import can_prepack, prepack

__all__ = ["prepacked_matmul"]


def prepacked_matmul(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """A function that takes `x` of `[rows, in]` to `x @ weight.T`; it has no gradient.

    A weight or an `x` that requires one raises `KernelError`.

    Where oneDNN serves (float32 on the CPU) the weight is laid out once for that many rows, which
    makes each product up to four times faster.

    Args:
        weight: `[out, in]`.
        rows: how many rows each `x` has.
    """
    refuse_gradients("prepacked_matmul", "torch.nn.functional.linear", weight)
    packable = type(weight) in (Tensor, nn.Parameter) and can_prepack(weight)
    product = prepack(weight, rows) if packable else plain_matmul(weight)

    def multiply(x: Tensor) -> Tensor:
        refuse_gradients("prepacked_matmul", "torch.nn.functional.linear", x)
        return product(x)

    return multiply


def plain_matmul(weight: Tensor) -> Callable[[Tensor], Tensor]:
    """The definition of `prepacked_matmul`."""
    columns = weight.detach().t()
    return lambda x: x @ columns
