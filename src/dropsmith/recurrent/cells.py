"""The kinds of recurrent layer: their gates, their states and their kernel."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from dropsmith.kernels import elman, gru, lstm, state_noise

States = tuple[Tensor, ...]
"""The hidden state, and the cell if there is one."""


@dataclass(frozen=True)
class Parameters:
    """One layer in one direction: `[gate * unit, input]`, `[gate * unit, unit]`, and biases."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None


class Cell(ABC):
    """One kind of recurrent layer."""

    gates: ClassVar[int]
    has_cell: ClassVar[bool] = False

    def input_bias(self, parameters: Parameters) -> Tensor | None:
        """The bias of the input's part of the gates' scores."""
        if parameters.bias_ih is None or parameters.bias_hh is None:
            return None
        return parameters.bias_ih + parameters.bias_hh

    @abstractmethod
    def run(
        self, gates: Tensor, states: States, parameters: Parameters, noise: state_noise.StateNoise
    ) -> tuple[Tensor, States]:
        """The hidden states `[time, batch, unit]` and the states after the last step."""


@dataclass(frozen=True)
class LongShortTerm(Cell):
    """The cell of `torch.nn.LSTM`."""

    gates, has_cell = 4, True

    kernel: lstm.Triton | None = None

    def run(
        self, gates: Tensor, states: States, parameters: Parameters, noise: state_noise.StateNoise
    ) -> tuple[Tensor, States]:
        output, *last = lstm.lstm(
            gates, states[0], states[1], parameters.weight_hh, noise, self.kernel
        )
        return output, tuple(last)


class GatedRecurrent(Cell):
    """The cell of `torch.nn.GRU`."""

    gates = 3

    def input_bias(self, parameters: Parameters) -> Tensor | None:
        return parameters.bias_ih

    def run(
        self, gates: Tensor, states: States, parameters: Parameters, noise: state_noise.StateNoise
    ) -> tuple[Tensor, States]:
        bias = parameters.bias_hh
        bias = parameters.weight_hh.new_zeros(len(parameters.weight_hh)) if bias is None else bias
        output, last = gru.gru(gates, states[0], parameters.weight_hh, bias, noise)
        return output, (last,)


@dataclass(frozen=True)
class Elman(Cell):
    """The cell of `torch.nn.RNN`."""

    gates = 1

    nonlinearity: str = "tanh"

    def run(
        self, gates: Tensor, states: States, parameters: Parameters, noise: state_noise.StateNoise
    ) -> tuple[Tensor, States]:
        output, last = elman.elman(gates, states[0], parameters.weight_hh, noise, self.nonlinearity)
        return output, (last,)


def parameters_of(flat: Sequence[Tensor], per_layer: int) -> list[Parameters]:
    """The parameters of each layer and direction, from torch's flat list of weights."""
    return [Parameters(*flat[i : i + per_layer]) for i in range(0, len(flat), per_layer)]
