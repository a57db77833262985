"""The tokens of a stack of Transformer blocks that are real, and no padding."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dropsmith.activations import Layer
from dropsmith.errors import ObjectiveError
from dropsmith.kernels import attention_divergence


def real_tokens(
    layers: Sequence[Layer], batch: Mapping[str, Any], label_mask: Tensor | None
) -> Tensor | None:
    """The mask of tokens that count, `[rows, time]`; None where all do.

    A token is real where its stack's own attention may look at it, and where the batch's
    `attention_mask` (`decoder_attention_mask` for a decoder that looks at an encoder) does not say
    otherwise. Such a decoder is commonly given no mask at all; there a token must have a label too,
    or, where labels are not those of its tokens, be one that its encoder reads as well: a decoder
    that classifies makes its words of the encoder's.

    Args:
        layers: of one view of a stack.
        batch: its batch by name; may be empty.
        label_mask: which items of its output the task's loss counts, or None.
    """
    first = layers[0]
    sizes = _sizes(first)
    decoder = len({owner for owner, _ in first.attention}) > 1
    fits = label_mask is not None and tuple(label_mask.shape) == sizes
    batch_mask = batch.get("attention_mask")
    if decoder and (fits or "decoder_input_ids" in batch or "decoder_attention_mask" in batch):
        batch_mask = batch.get("decoder_attention_mask")
    sources = [
        _visible_keys(first.attention[0][1]) if first.attention else None,
        batch_mask != 0 if isinstance(batch_mask, Tensor) and batch_mask.shape == sizes else None,
        label_mask if decoder and fits else None,
    ]
    masks = [_fitting(mask, sizes, first) for mask in sources if mask is not None]
    masks = [mask for mask in masks if mask is not None]
    if not masks:
        return None
    return torch.stack([mask.to(masks[0].device) for mask in masks]).all(0)


def _sizes(layer: Layer) -> tuple[int, ...]:
    """Rows and time of what a layer holds."""
    if layer.hidden is not None:
        return tuple(layer.hidden.shape[:2]) if layer.hidden.ndim == 3 else ()
    attention = layer.attention[0][1]
    shape = attention.shape if isinstance(attention, Tensor) else attention.query.shape
    return shape[0], shape[2]


def _visible_keys(attention: attention_divergence.AttentionInputs | Tensor) -> Tensor | None:
    """The keys that some query may look at, `[rows, keys]`; None where all are."""
    if isinstance(attention, Tensor):
        return (attention > 0).any(1).any(1)
    if attention.mask is None:
        return None
    visible = attention_divergence.open_places(attention.mask)
    visible = visible[(None,) * (4 - visible.ndim)]
    if attention.causal and visible.shape[2] > 1:
        visible = visible.tril()
    return visible.any(1).any(1).expand(len(attention.query), attention.key.shape[2])


def _fitting(mask: Tensor, sizes: tuple[int, ...], layer: Layer) -> Tensor | None:
    """The mask as `[rows, time]` of the layer; None where it hides nothing of it."""
    if tuple(mask.shape) == sizes:
        return mask
    if sizes and mask.shape[1] == sizes[1] and len(mask) % sizes[0] == 0:
        return mask.view(sizes[0], -1, sizes[1]).any(1)  # heads that are folded into the rows
    if bool(mask.all()):
        return None
    raise ObjectiveError(
        f"cannot tell which states of block {layer.name!r}, of sizes {sizes}, are padding: its "
        f"attention is masked for {tuple(mask.shape)} rows and tokens\n"
        "  states are [rows, time, unit]: use batch_first=True"
    )
