"""A long short-term memory over a whole sequence, with noise on its state."""

import torch
from torch import Tensor

from dropsmith.kernels import triton_available
from dropsmith.kernels.lstm.reference import as_one_loop
from dropsmith.kernels.lstm.sequence import lstm as _sequence
from dropsmith.kernels.lstm.triton import lstm as _triton
from dropsmith.kernels.lstm.triton import supports
from dropsmith.kernels.lstm.triton_graphs import Graphs
from dropsmith.kernels.lstm.triton_settings import Tiles, Triton
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise
from dropsmith.portable import exporting

__all__ = ["Graphs", "Tiles", "Triton", "lstm"]


def lstm(
    gates: Tensor,
    hidden: Tensor,
    cell: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    kernel: Triton | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer in one direction: the equations of `torch.nn.LSTM` with a masked hidden state.

    Args:
        gates: the part of the gates' scores from the input and the biases, in torch's order
            (input, forget, cell, output), `[time, batch, 4, unit]`.
        hidden: the state before the first step, `[batch, unit]`.
        cell: the cell before the first step, `[batch, unit]`; it is never masked.
        weight: of the recurrence, `[4 * unit, unit]`.
        noise: masks of the state, without gradients.
        kernel: the Triton kernel of a step, for GPUs. With None, Triton runs on a GPU, with
            float32 products in TF32 if torch allows that to cuDNN, and torch's own operations run
            elsewhere.

    Returns:
        The hidden states `[time, batch, unit]`, and hidden state and cell after the last step.

    Raises:
        KernelError: the Triton kernel cannot run on these tensors.
        MissingExtra: Triton is not installed.
    """
    if exporting():
        return as_one_loop(gates, hidden, cell, weight, noise)
    if kernel is None and gates.is_cuda and supports(gates) and triton_available():
        kernel = Triton(precision="tf32" if torch.backends.cudnn.allow_tf32 else "ieee")
    if kernel is not None:
        return _triton(gates, hidden, cell, weight, noise, kernel)
    return _sequence(gates, hidden, cell, weight, noise)
