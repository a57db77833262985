"""Products of matrices that are large in all three directions, and the linear map made of them."""

import torch
from torch import Tensor, nn

from dropsmith.kernels.double_backward import refuse_gradients
from dropsmith.kernels.large_matmul import onednn, reference
from dropsmith.kernels.prepacked_matmul.onednn import can_prepack

__all__ = ["large_linear", "large_matmul"]


def large_matmul(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b.T`, without a gradient: a tensor that requires one raises `KernelError`.

    Where oneDNN serves (float32 on the CPU) it makes the product, as it does for `torch.nn.LSTM`;
    on some processors torch's own product takes half as long again.

    Args:
        a: `[m, k]`.
        b: `[n, k]`.
    """
    refuse_gradients("large_matmul", "a @ b.T", a, b)
    return (onednn if _serves(a, b) else reference).product(a.detach(), b.detach())


def large_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`, whose gradients are wide products as well.

    Args:
        x: `[..., in]`.
        weight: `[out, in]`.
        bias: `[out]`.
    """
    return (onednn if _serves(x, weight, bias) else reference).linear(x, weight, bias)


def _serves(*tensors: Tensor | None) -> bool:
    """Say whether all are plain float32 on the CPU, outside autocast, and large enough."""
    operands = [tensor for tensor in tensors if tensor is not None]
    plain = all(
        type(operand) in (Tensor, nn.Parameter) and operand.dtype == torch.float32
        for operand in operands
    )
    return plain and onednn.is_allowed() and can_prepack(operands[1])
