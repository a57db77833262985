"""A plain recurrent layer (Elman, 1990) over a whole sequence, with noise on its state."""

from torch import Tensor

from dropsmith.kernels.elman.reference import as_one_loop
from dropsmith.kernels.elman.sequence import elman as _sequence
from dropsmith.kernels.state_noise import NO_NOISE, StateNoise
from dropsmith.portable import exporting

__all__ = ["elman"]


def elman(
    gates: Tensor,
    hidden: Tensor,
    weight: Tensor,
    noise: StateNoise = NO_NOISE,
    nonlinearity: str = "tanh",
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: the equation of `torch.nn.RNN` with a masked hidden state.

    Args:
        gates: the part of the scores from the input and the biases, `[time, batch, 1, unit]`.
        hidden: the state before the first step, `[batch, unit]`.
        weight: of the recurrence, `[unit, unit]`.
        noise: masks of the state, without gradients; there is no cell.
        nonlinearity: `tanh` or `relu`.

    Returns:
        The hidden states `[time, batch, unit]`, and the state after the last step.
    """
    if exporting():
        return as_one_loop(gates, hidden, weight, noise, nonlinearity)
    return _sequence(gates, hidden, weight, noise, nonlinearity)
