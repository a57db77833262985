"""A gated recurrent unit over a whole sequence, with noise on its state."""

from torch import Tensor

from dropsmith.kernels.gru.reference import as_one_loop
from dropsmith.kernels.gru.sequence import gru as _sequence
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise
from dropsmith.portable import exporting

__all__ = ["gru"]


def gru(
    gates: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: the equations of `torch.nn.GRU` with a masked hidden state.

    The masked state enters the gates; the previous state in the final sum of a step is not masked.

    Args:
        gates: the part of the gates' scores from the input and its biases, in torch's order
            (reset, update, new), `[time, batch, 3, unit]`.
        hidden: the state before the first step, `[batch, unit]`.
        weight: of the recurrence, `[3 * unit, unit]`.
        bias: of the recurrence, `[3 * unit]`; the reset gate multiplies the bias of `new` too.
        noise: masks of the state, without gradients; there is no cell.

    Returns:
        The hidden states `[time, batch, unit]`, and the state after the last step.
    """
    if exporting():
        return as_one_loop(gates, hidden, weight, bias, noise)
    return _sequence(gates, hidden, weight, bias, noise)
