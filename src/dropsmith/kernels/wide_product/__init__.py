"""Products of matrices that are large in all three directions, and the linear map made of them."""

import torch
from torch import Tensor, nn

from dropsmith.kernels.double_backward import refuse_gradients
from dropsmith.kernels.many_products.packed import packs
from dropsmith.kernels.wide_product import onednn, reference

__all__ = ["wide_linear", "wide_product"]


def wide_product(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b.T`, without a gradient: a tensor that requires one raises `KernelError`.

    Where oneDNN serves (float32 on the CPU) it makes the product, as it does for `torch.nn.LSTM`;
    on some processors torch's own product takes half as long again.

    Args:
        a: `[m, k]`.
        b: `[n, k]`.
    """
    refuse_gradients("wide_product", "a @ b.T", a, b)
    return (onednn if _serves(a, b) else reference).product(a.detach(), b.detach())


def wide_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`, whose gradients are wide products as well.

    Args:
        x: `[..., in]`.
        weight: `[out, in]`.
        bias: `[out]`.
    """
    return (onednn if _serves(x, weight, bias) else reference).linear(x, weight, bias)


def _serves(*tensors: Tensor | None) -> bool:
    """Whether all are plain float32 on the CPU, outside of autocast, and large enough to matter."""
    there = [tensor for tensor in tensors if tensor is not None]
    plain = all(type(one) in (Tensor, nn.Parameter) and one.dtype == torch.float32 for one in there)
    return plain and onednn.allowed() and packs(there[1])
