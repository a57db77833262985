"""Inputs that bypass a trunk: labels of all views, and a decoder's own inputs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import ViewError

LABELS = ("labels", "start_positions", "end_positions")
_WORDS = ("decoder_input_ids", "decoder_inputs_embeds")


def labels_of_all_views(kwargs: Mapping[str, Any], n: int) -> dict[str, Any]:
    """Repeat the labels for `n` views: a trunk has one view, the loss at its end sees all.

    >>> labels_of_all_views({"labels": torch.tensor([3, 4])}, 2)
    {'labels': tensor([3, 4, 3, 4])}
    """
    labels = {k: v for k, v in kwargs.items() if k in LABELS and v is not None}
    return {**kwargs, **{k: torch.cat([v] * n) for k, v in labels.items()}}


def decoder_inputs(model: nn.Module, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Add the decoder's inputs to the arguments, where a model would make them from the labels.

    Labels are those of all views, and inputs made from them inside would be, too; a trunk takes
    the words of one view.

    Raises:
        ViewError: the model does not say how it makes them.
    """
    labels = kwargs.get("labels")
    of_words = isinstance(labels, Tensor) and labels.ndim == 2
    decodes = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if not (of_words and decodes) or _has_words(kwargs):
        return dict(kwargs)
    make = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if make is None:
        raise ViewError(
            f"a {type(model).__name__} makes what its decoder reads from the labels, and under a "
            "trunk these are the labels of all views\n  give it decoder_input_ids as well"
        )
    return {**kwargs, _WORDS[0]: make(labels=labels)}


def _has_words(kwargs: Mapping[str, Any]) -> bool:
    return any(kwargs.get(name) is not None for name in _WORDS)
