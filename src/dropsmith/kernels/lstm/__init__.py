"""A long short-term memory over a whole sequence, with noise on its state."""

from torch import Tensor

from dropsmith.kernels.lstm.sequence import lstm as _sequence
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise

__all__ = ["lstm"]


def lstm(
    gates: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor, Tensor]:
    """One layer in one direction: `torch.nn.LSTM`'s equations, the hidden state masked.

    Args:
        gates: what the input and the biases give to the scores of the gates, in torch's order
            (input, forget, cell, output), `[time, batch, 4, unit]`.
        hidden: the state before the first step, `[batch, unit]`.
        cell: the cell before it, `[batch, unit]`; it is never masked.
        weight: of the recurrence, `[4 * unit, unit]`.
        noise: masks of the state; they have no gradient.

    Returns:
        The hidden states `[time, batch, unit]`, and hidden state and cell after the last step.
    """
    return _sequence(gates, hidden, cell, weight, noise)
