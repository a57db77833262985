"""Transformer blocks read in passes of several views, and their readings cut by view."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from torch import Tensor, nn

from dropsmith.activations import BlockReadings, Layer, Reader, Reads, read_blocks
from dropsmith.errors import ViewError
from dropsmith.kernels import attention_divergence

Layers = tuple[Layer, ...]


def reading_blocks(
    model: nn.Module, reads: Reads | None
) -> AbstractContextManager[BlockReadings | None]:
    """Read the blocks of a forward, where something wants them."""
    return nullcontext() if reads is None else read_blocks(model, reads)


def reader_of(model: nn.Module, reads: Reads | None, below: Callable[[], bool]) -> Reader | None:
    """A reader of one forward's blocks, if something wants them; `below` as in `read_blocks`."""
    return None if reads is None else Reader(model, reads, below=below)


def cut_layers(layers: Sequence[Layer], sizes: Sequence[int] | None) -> tuple[Layers, ...]:
    """The blocks of each view, from those of a pass over all their rows.

    What all views share is whole in each of them.

    Args:
        layers: in the order in which they ran.
        sizes: how many rows of the batch each view has, in order; None for one view of all rows.

    Raises:
        ViewError: of several views, a block holds something else than so many rows, or a multiple
            of them.
    """
    if sizes is None:
        return (tuple(layers),)
    return tuple(tuple(_layer(x, sizes, view) for x in layers) for view in range(len(sizes)))


def _layer(layer: Layer, sizes: Sequence[int], view: int) -> Layer:
    hidden, shared = layer.hidden, layer.shared_attention
    if hidden is not None and not layer.shared_hidden:
        hidden = _rows(_rows_first(hidden, layer, sum(sizes)), sizes, view, layer.name)
    attention = (
        (owner, inputs if owner in shared else _attention(inputs, sizes, view, owner))
        for owner, inputs in layer.attention
    )
    return replace(layer, hidden=hidden, attention=tuple(attention))


def _rows_first(hidden: Tensor, layer: Layer, rows: int) -> Tensor:
    """The states with their rows in dimension 0; the sizes of attention tell rows from time."""
    if not layer.attention:
        return hidden
    _, inputs = layer.attention[0]
    time = (
        inputs.query if isinstance(inputs, attention_divergence.AttentionInputs) else inputs
    ).shape[-2]
    time_first = time != rows and hidden.ndim == 3 and tuple(hidden.shape[:2]) == (time, rows)
    return hidden.transpose(0, 1) if time_first else hidden


def _attention(
    inputs: attention_divergence.AttentionInputs | Tensor,
    sizes: Sequence[int],
    view: int,
    owner: str,
) -> attention_divergence.AttentionInputs | Tensor:
    if isinstance(inputs, Tensor):
        return _rows(inputs if inputs.ndim == 4 else inputs.unsqueeze(1), sizes, view, owner)
    mask = inputs.mask
    if mask is not None and mask.ndim == 4 and len(mask) > 1:
        mask = _rows(mask, sizes, view, owner)
    query, key = (_rows(x, sizes, view, owner) for x in (inputs.query, inputs.key))
    return replace(inputs, query=query, key=key, mask=mask)


def _rows(x: Tensor, sizes: Sequence[int], view: int, name: str) -> Tensor:
    if len(sizes) == 1:  # all rows are this view's, on whichever axis they are
        return x
    times, rest = divmod(len(x), sum(sizes))
    if rest or not times:
        raise ViewError(
            f"{name!r} holds {len(x)} rows in a batch of {sum(sizes)}, so those of one view cannot "
            'be told from another\'s\n  layers that keep time in dimension 0 need mode="looped"'
        )
    return x.split([size * times for size in sizes])[view]
