"""Torch's own recurrent layers in a graph that is exported: loops over time of any length.

Without it a graph has the operations of every step, and takes as many steps as its example has.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from dropsmith.kernels import large_matmul, state_noise
from dropsmith.recurrent.cells import (
    Cell,
    Elman,
    GatedRecurrent,
    LongShortTerm,
    Parameters,
    States,
    parameters_of,
)

_CELLS: dict[Any, Cell] = {
    torch.lstm: LongShortTerm(),
    torch.gru: GatedRecurrent(),
    torch.rnn_tanh: Elman("tanh"),
    torch.rnn_relu: Elman("relu"),
}


class AsLoops(TorchFunctionMode):
    """Runs torch's recurrent functions without noise layer by layer, each a loop.

    Packed sequences, projections and torch's own dropout between layers stay as they are.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        cell = _CELLS.get(func)
        if cell is None or kwargs or not isinstance(args[3], bool):
            return func(*args, **(kwargs or {}))
        x, state, flat, has_biases, layers, dropout, train, bidirectional, batch_first = args
        ways = 2 if bidirectional else 1
        per_layer = 4 if has_biases else 2
        if len(flat) != layers * ways * per_layer or (train and dropout):
            return func(*args)
        states = tuple(state) if isinstance(state, tuple | list) else (state,)
        parameters = parameters_of(list(flat), per_layer)
        x = x.transpose(0, 1) if batch_first else x
        lasts: list[States] = []
        for layer in range(layers):
            outputs = []
            for way in range(ways):
                place = layer * ways + way
                start = tuple(part[place] for part in states)
                output, last = _run(cell, x, start, parameters[place], backwards=way == 1)
                outputs.append(output)
                lasts.append(last)
            x = torch.cat(outputs, -1) if ways > 1 else outputs[0]
        ends = (torch.stack(parts) for parts in zip(*lasts, strict=True))
        return (x.transpose(0, 1) if batch_first else x, *ends)


def _run(
    cell: Cell, x: Tensor, states: States, parameters: Parameters, backwards: bool
) -> tuple[Tensor, States]:
    bias = cell.input_bias(parameters)
    gates = large_matmul.large_linear(x, parameters.weight_ih, bias).unflatten(-1, (cell.gates, -1))
    if not backwards:
        return cell.run(gates, states, parameters, state_noise.NO_NOISE)
    output, last = cell.run(gates.flip(0), states, parameters, state_noise.NO_NOISE)
    return output.flip(0), last
