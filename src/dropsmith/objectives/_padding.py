"""Which tokens of a stack of Transformer blocks are real, and which are padding."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dropsmith.activations import Layer
from dropsmith.errors import ObjectiveError
from dropsmith.kernels import attention_divergence


def real_tokens(
    layers: Sequence[Layer], batch: Mapping[str, Any], labelled: Tensor | None
) -> Tensor | None:
    """Which tokens count, `[rows, time]`; None where all do.

    A token is real where its stack's own attention may look at it, and where the batch's
    `attention_mask` (`decoder_attention_mask` for a decoder that looks at an encoder) does not say
    otherwise. Such a decoder is commonly given no mask at all; there a token must have a label too,
    or, where labels are not those of its tokens, be one that its encoder reads as well: a decoder
    that classifies makes its words of the encoder's.

    Args:
        layers: of one view of a stack.
        batch: its batch by name; may be empty.
        labelled: which items of its output the task's loss counts, or None.
    """
    first = layers[0]
    sizes = _sizes(first)
    decoder = len({owner for owner, _ in first.attention}) > 1
    fits = labelled is not None and tuple(labelled.shape) == sizes
    given = batch.get("attention_mask")
    if decoder and (fits or "decoder_input_ids" in batch or "decoder_attention_mask" in batch):
        given = batch.get("decoder_attention_mask")
    found = [
        _seen(first.attention[0][1]) if first.attention else None,
        given != 0 if isinstance(given, Tensor) and given.shape == sizes else None,
        labelled if decoder and fits else None,
    ]
    masks = [_fitting(mask, sizes, first) for mask in found if mask is not None]
    kept = [mask for mask in masks if mask is not None]
    if not kept:
        return None
    return torch.stack([mask.to(kept[0].device) for mask in kept]).all(0)


def _sizes(layer: Layer) -> tuple[int, ...]:
    """Rows and time of what a layer holds."""
    if layer.hidden is not None:
        return tuple(layer.hidden.shape[:2]) if layer.hidden.ndim == 3 else ()
    seen = layer.attention[0][1]
    shape = seen.shape if isinstance(seen, Tensor) else seen.query.shape
    return shape[0], shape[2]


def _seen(seen: attention_divergence.AttentionInputs | Tensor) -> Tensor | None:
    """The keys that some query may look at, `[rows, keys]`; None where all are."""
    if isinstance(seen, Tensor):
        return (seen > 0).any(1).any(1)
    if seen.mask is None:
        return None
    seen_by = attention_divergence.open_places(seen.mask)
    seen_by = seen_by[(None,) * (4 - seen_by.ndim)]
    if seen.causal and seen_by.shape[2] > 1:
        seen_by = seen_by.tril()
    return seen_by.any(1).any(1).expand(len(seen.query), seen.key.shape[2])


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
