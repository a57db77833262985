"""`nn.LSTM`, `nn.GRU` and `nn.RNN` run layer by layer, with noise of ours between the layers."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import SiteError
from dropsmith.noise.site_noise import SiteNoise


def dropped_between(
    site_noise: SiteNoise, module: nn.Module, func: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[Tensor, ...]:
    """Run torch's own multi-layer call with its dropout replaced by the site's pattern."""
    assert isinstance(module, nn.RNNBase)
    # Torch's call for packed sequences has the batch sizes where the other has the state.
    if not isinstance(args[3], bool):
        raise SiteError(
            f"site {site_noise.site.name!r}: a PackedSequence has no batch and time axes "
            "to drop over\n"
            "  pad the sequences, use TorchDropout(rate=...) to retune torch's own dropout, or\n"
            "  convert the layer, which then takes noise there, too: "
            "dropsmith.recurrent.convert(model)"
        )

    def drop(layer: int, x: Tensor) -> Tensor:
        return site_noise.drop(x, module) if site_noise.noise.active(module.training) else x

    return layer_by_layer(module, func, args, drop)


def layer_by_layer(
    module: nn.RNNBase,
    func: Callable[..., Any],
    args: tuple[Any, ...],
    between: Callable[[int, Tensor], Tensor],
) -> tuple[Tensor, ...]:
    """Run torch's own call one layer at a time, with something of ours between the layers.

    Args:
        module: whose call it is.
        func: torch's function.
        args: its arguments for a padded batch.
        between: takes the number of a layer and what it returned to what the next is given.
    """
    x, state, weights, bias = args[0], args[1], list(args[2]), args[3]
    directions = 2 if module.bidirectional else 1
    # A projection (proj_size) adds one weight to each direction of each layer.
    per_layer = len(weights) // module.num_layers
    is_lstm = func is torch.lstm
    states = list(state) if is_lstm else [state]
    finals: list[list[Tensor]] = [[] for _ in states]
    for layer in range(module.num_layers):
        rows = slice(layer * directions, (layer + 1) * directions)
        layer_states = [part[rows] for part in states]
        layer_weights = weights[layer * per_layer : (layer + 1) * per_layer]
        tail = (layer_weights, bias, 1, 0.0, False, module.bidirectional, module.batch_first)
        x, *last = func(x, tuple(layer_states) if is_lstm else layer_states[0], *tail)
        for parts, final in zip(finals, last, strict=True):
            parts.append(final)
        if layer < module.num_layers - 1:
            x = between(layer, x)
    return (x, *(torch.cat(parts) for parts in finals))
