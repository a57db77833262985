"""A whole layer stack run step by step of ours, as torch's own call would run it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dropsmith.errors import KernelError
from dropsmith.kernels import large_matmul, state_noise
from dropsmith.noise import layer_by_layer
from dropsmith.recurrent.asked import Asked
from dropsmith.recurrent.cells import Cell, Parameters, States, parameters_of
from dropsmith.recurrent.places import suffixes


@dataclass(frozen=True)
class Sequences:
    """A batch with time first, and how long each of its rows is where they differ."""

    x: Tensor
    lengths: Tensor | None = None

    def present(self) -> Tensor | None:
        """One where a row has a step, `[time, batch, 1]`; None where all rows have all."""
        if self.lengths is None:
            return None
        steps = torch.arange(len(self.x), device=self.x.device)
        return (steps[:, None] < self.lengths.to(self.x.device)).to(self.x.dtype)[:, :, None]


Torch = Callable[..., tuple[Tensor, ...]]


def run(cell: Cell, asked: Asked, args: tuple[Any, ...], torchs: Torch) -> tuple[Tensor, ...]:
    """What one of torch's recurrent functions returns for these arguments, with noise.

    Args:
        cell: the kind of layer.
        asked: the noise.
        args: what torch's function takes: a padded batch, or the rows of all steps and how many
            rows each step has.
        torchs: that function, which still runs every layer that has no noise inside.

    Raises:
        KernelError: there is no step to run.
    """
    module = asked.module
    packed = not isinstance(args[3], bool)
    if not packed and not asked.inside:
        return _native_layers(asked, args, torchs)
    sizes = args[1] if packed else None
    state, flat = (args[2], args[3]) if packed else (args[1], args[2])
    sequences = _sequences(args[0], sizes, module.batch_first)
    if not len(sequences.x):
        raise KernelError(
            f"a {type(module).__name__} was given sequences without a step: "
            f"{tuple(args[0].shape)}, time in dimension {int(module.batch_first)}\n"
            "  torch's own takes none either: leave the call out where there is nothing to read"
        )
    states = tuple(state) if isinstance(state, tuple | list) else (state,)
    layers = parameters_of(asked.weights(list(flat)), 4 if module.bias else 2)
    output, last = _layers(cell, asked, sequences, states, layers)
    output = asked.output(output)
    if packed:
        assert sequences.lengths is not None
        output = pack_padded_sequence(output, sequences.lengths).data
    elif module.batch_first:
        output = output.transpose(0, 1)
    return (output, *last)


def _native_layers(asked: Asked, args: tuple[Any, ...], torchs: Torch) -> tuple[Tensor, ...]:
    """Torch's kernel, layer by layer, for noise on the weights and between the layers."""
    first = asked.module.batch_first

    def timed(x: Tensor) -> Tensor:
        return x.transpose(0, 1) if first else x

    def between(layer: int, x: Tensor) -> Tensor:
        return timed(asked.between(layer, timed(x)))

    weights = asked.weights(list(args[2]))
    given = (*args[:2], weights, *args[3:])
    output, *last = layer_by_layer(asked.module, torchs, given, between)
    return (timed(asked.output(timed(output))), *last)


def _sequences(x: Tensor, sizes: Tensor | None, batch_first: bool) -> Sequences:
    if sizes is not None:
        return Sequences(*pad_packed_sequence(PackedSequence(x, sizes)))
    return Sequences(x.transpose(0, 1) if batch_first else x)


def _layers(
    cell: Cell, asked: Asked, sequences: Sequences, states: States, layers: list[Parameters]
) -> tuple[Tensor, States]:
    module, present = asked.module, sequences.present()
    ways = 2 if module.bidirectional else 1
    x, lasts = sequences.x, []
    for layer in range(module.num_layers):
        outputs = []
        for index in range(layer * ways, (layer + 1) * ways):
            own = tuple(state[index] for state in states)
            one = _Direction(cell, asked, suffixes(module)[index], layers[index])
            output, last = one.run(x, own, present)
            outputs.append(output)
            lasts.append(last)
        x = torch.cat(outputs, -1) if ways > 1 else outputs[0]
        if layer < module.num_layers - 1:
            x = asked.between(layer, x)
    return x, tuple(torch.stack(each) for each in zip(*lasts, strict=True))


@dataclass(frozen=True)
class _Direction:
    """One layer in one direction."""

    cell: Cell
    asked: Asked
    suffix: str
    own: Parameters

    def run(self, x: Tensor, states: States, present: Tensor | None) -> tuple[Tensor, States]:
        backwards = self.suffix.endswith("_reverse")
        gates = self._gates(x)
        noise = self._noise(gates, present)
        if not backwards:
            return self.cell.run(gates, states, self.own, noise)
        output, last = self.cell.run(gates.flip(0), states, self.own, _flipped(noise))
        return output.flip(0), last

    def _gates(self, x: Tensor) -> Tensor:
        """What the input gives to the scores, `[time, batch, gate, unit]`."""
        time, batch, width = x.shape
        gates, bias = self.cell.gates, self.cell.input_bias(self.own)
        mask = self.asked.gates(f"input_{self.suffix}", (batch, gates, time, width))
        if mask is not None and mask.shape[2] > 1:
            seen = x[:, :, None] * mask.to(x.dtype)
            weights = self.own.weight_ih.chunk(gates)
            biases = [None] * gates if bias is None else bias.chunk(gates)
            parts = zip(seen.unbind(2), weights, biases, strict=True)
            return torch.stack([large_matmul.large_linear(*part) for part in parts], 2)
        if mask is not None:
            x = x * mask[:, :, 0].to(x.dtype)
        return large_matmul.large_linear(x, self.own.weight_ih, bias).unflatten(-1, (gates, -1))

    def _noise(self, gates: Tensor, present: Tensor | None) -> state_noise.StateNoise:
        time, batch, count, unit = gates.shape
        recurrent = self.asked.gates(f"recurrent_{self.suffix}", (batch, count, time, unit))
        hidden, kept = (
            self.asked.update(f"{state}_update_{self.suffix}", (batch, time, unit))
            for state in ("hidden", "cell")
        )
        return state_noise.StateNoise(
            recurrent=None if recurrent is None else recurrent.to(gates.dtype),
            hidden_update=_both(hidden, present, gates),
            cell_update=_both(kept, present, gates) if self.cell.has_cell else None,
        )


def _both(share: Tensor | None, present: Tensor | None, like: Tensor) -> Tensor | None:
    """A step that a row does not have leaves its state as it was."""
    parts = [part.to(like) for part in (share, present) if part is not None]
    return parts[0] * parts[1] if len(parts) > 1 else next(iter(parts), None)


def _flipped(noise: state_noise.StateNoise) -> state_noise.StateNoise:
    masks = noise.recurrent, noise.hidden_update, noise.cell_update
    first, second, third = (None if mask is None else mask.flip(0) for mask in masks)
    return state_noise.StateNoise(recurrent=first, hidden_update=second, cell_update=third)
