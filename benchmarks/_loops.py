"""A variational LSTM as people write it out by hand: the loop that a fast layer has to beat."""

import torch
from torch import Tensor, nn


class LoopedLSTM(nn.Module):
    """One layer, one mask for all gates on input and state, autograd through every step.

    The input's part of the scores is computed for all steps at once, which helps the loop.

    Args:
        unit: width of input and state.
        rate: chance of dropping.
    """

    def __init__(self, unit: int, rate: float) -> None:
        super().__init__()
        # Parameters rather than an nn.LSTM, for compilers do not trace models that hold one.
        own = nn.LSTM(unit, unit)
        self.weight_ih, self.weight_hh = own.weight_ih_l0, own.weight_hh_l0
        self.bias = nn.Parameter((own.bias_ih_l0 + own.bias_hh_l0).detach())
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """States `[time, batch, unit]` for `x` of the same sizes."""
        ones = x.new_ones(x.shape[1], x.shape[2])
        entering, held = (nn.functional.dropout(ones, self.rate) for _ in range(2))
        scores = nn.functional.linear(x * entering, self.weight_ih, self.bias)
        hidden, cell, states = torch.zeros_like(ones), torch.zeros_like(ones), []
        for score in scores:
            gates = score + (hidden * held) @ self.weight_hh.t()
            enter, forget, new, leave = gates.chunk(4, -1)
            cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states)
