"""A plain recurrent layer (Elman, 1990) over a whole sequence, with noise on its state."""

from torch import Tensor

from dropsmith.kernels.elman.sequence import elman as _sequence
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise

__all__ = ["elman"]


def elman(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: `torch.nn.RNN`'s equation, the hidden state masked.

    Args:
        gates: what the input and the biases give to the scores, `[time, batch, 1, unit]`.
        hidden: the state before the first step, `[batch, unit]`.
        weight: of the recurrence, `[unit, unit]`.
        noise: masks of the state; they have no gradient, and there is no cell.
        nonlinearity: `tanh` or `relu`.

    Returns:
        The hidden states `[time, batch, unit]`, and the one after the last step.
    """
    return _sequence(gates, hidden, weight, noise, nonlinearity)
