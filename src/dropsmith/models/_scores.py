"""What a language model returns: scores, and the state from which the next window goes on."""

from typing import NamedTuple

from torch import Tensor


class Scores(NamedTuple):
    """Scores of the next word, and the recurrent state after the last word that was read.

    A named tuple, because DistributedDataParallel and torch's tree functions look into those.

    Args:
        logits: `[batch, time, words]`.
        state: tensors with their rows first, `[batch, layers, unit]`: views that are stacked or
            cut along dimension 0 then never confuse rows with layers.
    """

    logits: Tensor
    state: tuple[Tensor, ...]


def rows_first(state: Tensor) -> Tensor:
    """`[layers, batch, unit]`, as torch's layers return a state, as `[batch, layers, unit]`."""
    return state.transpose(0, 1)


def layers_first(state: Tensor) -> Tensor:
    """`[batch, layers, unit]` as `[layers, batch, unit]`, as torch's layers take a state."""
    return state.transpose(0, 1).contiguous()
