"""The recurrent layers of `torch.nn` with noise inside; without noise, torch's kernels run."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from dropsmith.kernels import lstm
from dropsmith.noise import NoiseSlot
from dropsmith.portable import exporting
from dropsmith.recurrent.cells import Cell, Elman, GatedRecurrent, LongShortTerm
from dropsmith.recurrent.layer_masks import LayerMasks
from dropsmith.recurrent.places import places_of
from dropsmith.recurrent.run import run

Masks = Mapping[str, Tensor]
"""Masks by the name of their place, such as `recurrent_l0`."""

_CALLS = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)


class LSTM(nn.LSTM):
    """`torch.nn.LSTM` with noise inside: the same arguments, weights, checks and outputs.

    The sites of a module called `lstm` are, for each layer and direction, `lstm.recurrent_l0` (the
    hidden state that enters the gates) and `lstm.input_l0` (the input of the layer), both with axes
    `batch gate time unit`; `lstm.hidden_update_l0` and
    `lstm.cell_update_l0` (zoneout), of `batch time unit`; `lstm.between()`; its weights. The names
    `lstm.recurrent`, `lstm.inputs`, `lstm.hidden_update`, `lstm.cell_update` select all layers.

    `Bernoulli(rate, shared="time gate")` on `lstm.recurrent` is the tied variational mask of Gal &
    Ghahramani (2016, section 4.1), `shared="time"` their untied one. The cell is never masked. At
    an update, the rate is the probability that the state keeps its value (Krueger et al. 2017); in
    eval mode old and new state are averaged.

    On a GPU, steps with noise run in Triton, elsewhere in torch's operations. If sequences have few
    different lengths, `layer.kernel = Triton(graphs=Graphs())` is faster: it captures a CUDA graph
    for each length. Without such noise, torch's own kernels run.

    >>> layer = LSTM(3, 4)
    >>> held = torch.ones(2, 1, 1, 4)
    >>> held[0] = 0
    >>> output, (hidden, cell) = layer(torch.ones(5, 2, 3), masks={"recurrent_l0": held})
    >>> output.shape
    torch.Size([5, 2, 4])
    """

    kernel: lstm.Triton | None = None

    def noise_slots(self) -> tuple[NoiseSlot, ...]:
        """The slots in which this layer takes noise."""
        return places_of(self)

    def forward(self, input: Any, hx: Any = None, *, masks: Masks | None = None) -> Any:
        """Run the layer as `torch.nn.LSTM` does.

        Args:
            input: a batch of sequences, padded or packed, or one sequence.
            hx: states before the first step; zeros where None.
            masks: masks by place, each axis of full size or 1. `recurrent_l0` and `input_l0`:
                `[batch, gate, time, unit]`; `between_l0` and `output`: `[batch, time, unit]`;
                `hidden_update_l0` and `cell_update_l0` (the share of the update that is taken):
                `[batch, time, unit]`; `weight_hh_l0` and the other weights: as the weight. They
                replace the masks of a plan at these places, in train and eval mode. Masks of the
                input, of `between_l0`, `output` and weights may require gradients; masks of the
                state may not.

        Raises:
            SiteError: a mask names no place, has wrong sizes, or requires a gradient of the state.
            KernelError: the sequences have no steps.
        """
        return _forward(self, super().forward, LongShortTerm(self.kernel), (input, hx), masks)


class GRU(nn.GRU):
    """`torch.nn.GRU` with noise inside; see `LSTM`. It has three gates and no cell."""

    def noise_slots(self) -> tuple[NoiseSlot, ...]:
        """The slots in which this layer takes noise."""
        return places_of(self)

    def forward(self, input: Any, hx: Any = None, *, masks: Masks | None = None) -> Any:
        """As `torch.nn.GRU`; for the masks see `LSTM.forward`."""
        return _forward(self, super().forward, GatedRecurrent(), (input, hx), masks)


class RNN(nn.RNN):
    """`torch.nn.RNN` with noise inside; see `LSTM`. It has one gate and no cell."""

    def noise_slots(self) -> tuple[NoiseSlot, ...]:
        """The slots in which this layer takes noise."""
        return places_of(self)

    def forward(self, input: Any, hx: Any = None, *, masks: Masks | None = None) -> Any:
        """As `torch.nn.RNN`; for the masks see `LSTM.forward`."""
        return _forward(self, super().forward, Elman(self.nonlinearity), (input, hx), masks)


def _forward(
    module: nn.RNNBase, native: Callable[..., Any], cell: Cell, inputs: Any, masks: Masks | None
) -> Any:
    # Compilers do not trace torch's recurrent layers but run them as they are. These they would
    # trace, and unroll the loop over time into graphs that take minutes to compile.
    if "torch._dynamo" not in sys.modules or exporting():
        return _run(module, native, cell, inputs, masks)
    run_eagerly: Any = torch.compiler.disable(_run)  # pyright: ignore
    return run_eagerly(module, native, cell, inputs, masks)


def _run(
    module: nn.RNNBase, native: Callable[..., Any], cell: Cell, inputs: Any, masks: Masks | None
) -> Any:
    layer_masks = LayerMasks.of(module, masks)
    if layer_masks is None:
        return native(*inputs)
    if isinstance(inputs[0], PackedSequence):
        layer_masks = layer_masks.with_order(inputs[0].sorted_indices)
    with _InPlaceOfTorch(cell, layer_masks):
        return native(*inputs)


class _InPlaceOfTorch(TorchFunctionMode):
    """A mode under torch's forward, which replaces the call of torch's kernel."""

    def __init__(self, cell: Cell, layer_masks: LayerMasks) -> None:
        super().__init__()
        self.cell, self.layer_masks = cell, layer_masks

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _CALLS:
            return func(*args, **(kwargs or {}))
        return run(self.cell, self.layer_masks, args, func)
