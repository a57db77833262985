"""The items of a batch that count: words, places or pixels that are no padding.

Padding is known by labels that are ignored, by an `attention_mask` as Hugging Face has it, by a
`key_padding_mask` as torch has it, or by a mask that somebody gives.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import NoiseError, excerpt
from dropsmith.prediction.class_axis import labels_in
from dropsmith.prediction.kinds import is_causal

IGNORED = -100
"""The label that torch's losses leave out."""

_IGNORE_OPTIONS = ("semantic_loss_ignore_index", "loss_ignore_index")
"""Fields of Hugging Face's configurations with another such label."""


def item_mask(
    items: tuple[int, ...], batch: Any, model: nn.Module, mask: object = None, rows: int = 0
) -> Tensor | None:
    """True for the items that count, or None where all do.

    Args:
        items: sizes of what a prediction is made for: of the scores, without their classes; values
            may have more dimensions than the mask.
        batch: as it was given.
        model: the root.
        mask: that somebody gives, `[batch, ...]`; None to look for padding in the batch.
        rows: the dimension of `items` that counts the inputs.

    Raises:
        NoiseError: the mask does not fit.
    """
    if mask is not None:
        return _given_mask(items, mask)
    if len(items) < 2 or rows != 0 or not isinstance(batch, Mapping):
        return None
    masks = [
        found.bool()
        for found in (_by_labels(batch, model), *_by_attention(batch, model))
        if found is not None and 1 < found.ndim <= len(items)
        if found.shape == items[: found.ndim]
    ]
    if not masks:
        return None
    deepest = max(found.ndim for found in masks)
    whole = torch.ones(items[:deepest], dtype=torch.bool, device=masks[0].device)
    for found in masks:
        whole = whole & found.view(*found.shape, *[1] * (deepest - found.ndim))
    return None if bool(whole.all()) else whole


def _given_mask(items: tuple[int, ...], mask: object) -> Tensor:
    if not isinstance(mask, Tensor) or mask.is_floating_point():
        raise NoiseError(
            f"mask is a tensor that is True for the items that count, got {excerpt(mask)}"
        )
    if not mask.ndim or mask.shape != items[: mask.ndim]:
        raise NoiseError(
            f"mask of shape {tuple(mask.shape)} does not fit predictions for items of shape "
            f"{items}\n  it is True for each item that counts, False for padding"
        )
    return mask.bool()


def _by_labels(batch: Mapping[str, Any], model: nn.Module) -> Tensor | None:
    labels = labels_in(batch)
    if labels is None or labels.is_floating_point() or labels.dtype == torch.bool:
        return None
    config = getattr(model, "config", None)
    ignored = [getattr(config, name, None) for name in _IGNORE_OPTIONS]
    counted = labels != IGNORED
    for label in ignored:
        if isinstance(label, int):
            counted = counted & (labels != label)
    if is_causal(model) and labels.ndim == 2:
        # The scores at a place are of the next token, and at the last of none.
        counted = torch.cat([counted[:, 1:], torch.zeros_like(counted[:, :1])], 1)
    return counted


def _by_attention(batch: Mapping[str, Any], model: nn.Module) -> list[Tensor | None]:
    """The masks over the sequence that is scored: of a model with two, that of the decoder."""
    two = getattr(getattr(model, "config", None), "is_encoder_decoder", False) is True
    two = two or any(name.startswith(("decoder_", "tgt")) for name in batch)
    kept = batch.get("decoder_attention_mask" if two else "attention_mask")
    names = ("tgt_key_padding_mask",) if two else ("key_padding_mask", "src_key_padding_mask")
    padded = [batch.get(name) for name in names]
    left_out = [~mask.bool() for mask in padded if mask is not None and _is_mask(mask)]
    return [kept if _is_mask(kept) else None, *left_out]


def _is_mask(value: Any) -> bool:
    """Say whether a value marks places, rather than being added to the scores of attention."""
    return isinstance(value, Tensor) and not value.is_floating_point()


def average_rows(values: Tensor, mask: Tensor | None) -> Tensor:
    """The mean of each row over what counts; not a number where nothing does.

    >>> average_rows(torch.tensor([[1.0, 3.0]]), torch.tensor([[True, False]]))
    tensor([1.])

    Args:
        values: `[rows, ...]`, with the dimensions of the mask first.
        mask: True for what counts; None where all does.
    """
    rows = values.flatten(1) if values.ndim > 1 else values.unsqueeze(1)
    if mask is None:
        return rows.mean(1)
    mask = mask.view(*mask.shape, *[1] * (values.ndim - mask.ndim))
    counted = mask.expand_as(values).reshape(rows.shape)
    return torch.where(counted, rows, 0).sum(1) / counted.sum(1)
