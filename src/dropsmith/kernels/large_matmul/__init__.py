"""Products of matrices that are large in all dimensions, and a linear layer of such products."""

import torch
from torch import Tensor, nn

from dropsmith.kernels.double_backward import refuse_gradients
from dropsmith.kernels.large_matmul import onednn, reference
from dropsmith.kernels.prepacked_matmul.onednn import can_prepack

__all__ = ["large_linear", "large_matmul"]


def large_matmul(a: Tensor, b: Tensor) -> Tensor:
    """`a @ b.T`, without a gradient.

    On a CPU in float32, oneDNN computes the product, as for `torch.nn.LSTM`; torch's own product
    takes up to 1.5 times as long on some processors.

    Args:
        a: `[m, k]`.
        b: `[n, k]`.

    Raises:
        KernelError: a tensor requires a gradient.
    """
    refuse_gradients("large_matmul", "a @ b.T", a, b)
    return (onednn if _serves(a, b) else reference).product(a.detach(), b.detach())


def large_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`, whose gradients are such products as well.

    Args:
        x: `[..., in]`.
        weight: `[out, in]`.
        bias: `[out]`.
    """
    return (onednn if _serves(x, weight, bias) else reference).linear(x, weight, bias)


def _serves(*tensors: Tensor | None) -> bool:
    """Say whether oneDNN can multiply: large plain float32 tensors on the CPU, no autocast."""
    operands = [tensor for tensor in tensors if tensor is not None]
    plain = all(
        type(operand) in (Tensor, nn.Parameter) and operand.dtype == torch.float32
        for operand in operands
    )
    return plain and onednn.is_allowed() and can_prepack(operands[1])
