"""A gated recurrent unit over a whole sequence, with noise on its state."""

from torch import Tensor

from dropsmith.kernels.gru.sequence import gru as _sequence
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise

__all__ = ["gru"]


def gru(
    gates: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor, noise: StateNoise = NO_NOISE
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: `torch.nn.GRU`'s equations, the hidden state masked.

    The state that a step mixes its new one with is not masked.

    Args:
        gates: what the input and its biases give to the scores of the gates, in torch's order
            (reset, update, new), `[time, batch, 3, unit]`.
        hidden: the state before the first step, `[batch, unit]`.
        weight: of the recurrence, `[3 * unit, unit]`.
        bias: of the recurrence, `[3 * unit]`; that of `new` is reset with it.
        noise: masks of the state; they have no gradient, and there is no cell.

    Returns:
        The hidden states `[time, batch, unit]`, and the one after the last step.
    """
    return _sequence(gates, hidden, weight, bias, noise)
