"""Inputs that go around a trunk into one forward: labels of all views, a decoder's own words."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import ViewError

LABELS = ("labels", "start_positions", "end_positions")
_WORDS = ("decoder_input_ids", "decoder_inputs_embeds")


def labels_of_all_views(given: Mapping[str, Any], n: int) -> dict[str, Any]:
    """What is given by name: a trunk has one view, the loss at its end sees all."""
    labels = {k: v for k, v in given.items() if k in LABELS and v is not None}
    return {**given, **{k: torch.cat([v] * n) for k, v in labels.items()}}


def decoder_inputs(model: nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given by name, and what a decoder reads where it would make that from the labels.

    Labels are those of all views, and so would be what is made from them inside; a trunk wants
    the words of one.

    Raises:
        ViewError: the model does not say how it makes them.
    """
    labels = given.get("labels")
    of_words = isinstance(labels, Tensor) and labels.ndim == 2
    decodes = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    if not (of_words and decodes) or _has_words(given):
        return dict(given)
    make = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if make is None:
        raise ViewError(
            f"a {type(model).__name__} makes what its decoder reads from the labels, and under a "
            "trunk these are the labels of all views\n  give it decoder_input_ids as well"
        )
    return {**given, _WORDS[0]: make(labels=labels)}


def _has_words(given: Mapping[str, Any]) -> bool:
    return any(given.get(name) is not None for name in _WORDS)
