"""The forward of a stack of layers with noise, in place of torch's function."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dropsmith.errors import KernelError
from dropsmith.kernels import large_matmul, state_noise
from dropsmith.noise import layer_by_layer
from dropsmith.recurrent.cells import Cell, Parameters, States, parameters_of
from dropsmith.recurrent.layer_masks import LayerMasks
from dropsmith.recurrent.places import suffixes


@dataclass(frozen=True)
class Sequences:
    """A batch with time first, and the lengths of its rows if they differ."""

    x: Tensor
    lengths: Tensor | None = None

    def present(self) -> Tensor | None:
        """1 for the steps of a row, else 0, `[time, batch, 1]`; None if all lengths are equal."""
        if self.lengths is None:
            return None
        steps = torch.arange(len(self.x), device=self.x.device)
        return (steps[:, None] < self.lengths.to(self.x.device)).to(self.x.dtype)[:, :, None]


Torch = Callable[..., tuple[Tensor, ...]]


def run(
    cell: Cell, layer_masks: LayerMasks, args: tuple[Any, ...], torchs: Torch
) -> tuple[Tensor, ...]:
    """Compute one of torch's recurrent functions for these arguments, with noise.

    Args:
        cell: the kind of layer.
        layer_masks: of the layer in this forward.
        args: the arguments of torch's function: a padded batch, or the rows of all steps and the
            number of rows of each step.
        torchs: that function, which runs every layer without noise inside.

    Raises:
        KernelError: the sequences have no steps.
    """
    module = layer_masks.module
    packed = not isinstance(args[3], bool)
    if not packed and not layer_masks.inside:
        return _native_layers(layer_masks, args, torchs)
    sizes = args[1] if packed else None
    state, flat = (args[2], args[3]) if packed else (args[1], args[2])
    sequences = _sequences(args[0], sizes, module.batch_first)
    if not sequences.x.shape[0]:
        raise KernelError(
            f"a {type(module).__name__} was given sequences without a step: "
            f"{tuple(args[0].shape)}, time in dimension {int(module.batch_first)}\n"
            "  torch's own takes none either: leave the call out where there is nothing to read"
        )
    states = tuple(state) if isinstance(state, tuple | list) else (state,)
    layers = parameters_of(layer_masks.weights(list(flat)), 4 if module.bias else 2)
    output, last = _layers(cell, layer_masks, sequences, states, layers)
    output = layer_masks.output(output)
    if packed:
        assert sequences.lengths is not None
        output = pack_padded_sequence(output, sequences.lengths).data
    elif module.batch_first:
        output = output.transpose(0, 1)
    return (output, *last)


def _native_layers(
    layer_masks: LayerMasks, args: tuple[Any, ...], torchs: Torch
) -> tuple[Tensor, ...]:
    """Torch's kernel for each layer, with noise on the weights and between the layers."""
    first = layer_masks.module.batch_first

    def swap_time(x: Tensor) -> Tensor:
        return x.transpose(0, 1) if first else x

    def between(layer: int, x: Tensor) -> Tensor:
        return swap_time(layer_masks.between(layer, swap_time(x)))

    weights = layer_masks.weights(list(args[2]))
    arguments = (*args[:2], weights, *args[3:])
    output, *last = layer_by_layer(layer_masks.module, torchs, arguments, between)
    return (swap_time(layer_masks.output(swap_time(output))), *last)


def _sequences(x: Tensor, sizes: Tensor | None, batch_first: bool) -> Sequences:
    if sizes is not None:
        return Sequences(*pad_packed_sequence(PackedSequence(x, sizes)))
    return Sequences(x.transpose(0, 1) if batch_first else x)


def _layers(
    cell: Cell,
    layer_masks: LayerMasks,
    sequences: Sequences,
    states: States,
    layers: list[Parameters],
) -> tuple[Tensor, States]:
    module, present = layer_masks.module, sequences.present()
    ways = 2 if module.bidirectional else 1
    x, lasts = sequences.x, []
    for layer in range(module.num_layers):
        outputs = []
        for index in range(layer * ways, (layer + 1) * ways):
            start = tuple(state[index] for state in states)
            direction = _Direction(cell, layer_masks, suffixes(module)[index], layers[index])
            output, last = direction.run(x, start, present)
            outputs.append(output)
            lasts.append(last)
        x = torch.cat(outputs, -1) if ways > 1 else outputs[0]
        if layer < module.num_layers - 1:
            x = layer_masks.between(layer, x)
    return x, tuple(torch.stack(layer_states) for layer_states in zip(*lasts, strict=True))


@dataclass(frozen=True)
class _Direction:
    """One layer in one direction."""

    cell: Cell
    layer_masks: LayerMasks
    suffix: str
    parameters: Parameters

    def run(self, x: Tensor, states: States, present: Tensor | None) -> tuple[Tensor, States]:
        backwards = self.suffix.endswith("_reverse")
        gates = self._gates(x)
        noise = self._noise(gates, present)
        if not backwards:
            return self.cell.run(gates, states, self.parameters, noise)
        output, last = self.cell.run(gates.flip(0), states, self.parameters, _flip(noise))
        return output.flip(0), last

    def _gates(self, x: Tensor) -> Tensor:
        """The input's part of the gates' scores, `[time, batch, gate, unit]`."""
        time, batch, width = x.shape
        gates, bias = self.cell.gates, self.cell.input_bias(self.parameters)
        mask = self.layer_masks.gates(f"input_{self.suffix}", (batch, gates, time, width))
        if mask is not None and mask.shape[2] > 1:
            gate_inputs = x[:, :, None] * mask.to(x.dtype)
            weights = self.parameters.weight_ih.chunk(gates)
            biases = [None] * gates if bias is None else bias.chunk(gates)
            parts = zip(gate_inputs.unbind(2), weights, biases, strict=True)
            return torch.stack([large_matmul.large_linear(*part) for part in parts], 2)
        if mask is not None:
            x = x * mask[:, :, 0].to(x.dtype)
        return large_matmul.large_linear(x, self.parameters.weight_ih, bias).unflatten(
            -1, (gates, -1)
        )

    def _noise(self, gates: Tensor, present: Tensor | None) -> state_noise.StateNoise:
        time, batch, count, unit = gates.shape
        recurrent = self.layer_masks.gates(f"recurrent_{self.suffix}", (batch, count, time, unit))
        hidden_update, cell_update = (
            self.layer_masks.update(f"{state}_update_{self.suffix}", (batch, time, unit))
            for state in ("hidden", "cell")
        )
        return state_noise.StateNoise(
            recurrent=None if recurrent is None else recurrent.to(gates.dtype),
            hidden_update=_combine(hidden_update, present, gates),
            cell_update=_combine(cell_update, present, gates) if self.cell.has_cell else None,
        )


def _combine(share: Tensor | None, present: Tensor | None, like: Tensor) -> Tensor | None:
    """An update's share, set to 0 for missing steps, which leave the state as it was."""
    parts = [part.to(like) for part in (share, present) if part is not None]
    return parts[0] * parts[1] if len(parts) > 1 else next(iter(parts), None)


def _flip(noise: state_noise.StateNoise) -> state_noise.StateNoise:
    masks = noise.recurrent, noise.hidden_update, noise.cell_update
    first, second, third = (None if mask is None else mask.flip(0) for mask in masks)
    return state_noise.StateNoise(recurrent=first, hidden_update=second, cell_update=third)
