"""Long texts in windows: the parts of a batch that are read one after the other."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dropsmith.errors import NoiseError, excerpt
from dropsmith.instances import is_function
from dropsmith.numbers import check_whole
from dropsmith.prediction import Carry


def check_windows(window: int | None, carry: Carry | None) -> None:
    """Raise `NoiseError` where a text cannot be read in such windows."""
    if window is None:
        if carry is not None:
            raise NoiseError(
                "carry hands a state from one window of a text to the next, and the text is read "
                "in one\n  give window=..., the number of tokens of a window"
            )
        return
    check_whole("window", window, 1, NoiseError)
    if not is_function(carry):
        raise NoiseError(
            f"window={window} reads a text in parts, and carry={excerpt(carry)} does not say what "
            "a sample hands from one to the next\n"
            '  write carry=lambda output: {"state": output[1]}, with the argument of the state'
        )


def windows_of(batch: Mapping[str, Any], length: int, window: int | None) -> list[dict[str, Any]]:
    """A batch of texts, cut into windows of so many tokens.

    >>> import torch
    >>> texts = {"tokens": torch.arange(5)[None], "scale": torch.ones(1, 2)}
    >>> [part["tokens"].tolist() for part in windows_of(texts, 5, 3)]
    [[[0, 1, 2]], [[3, 4]]]

    Args:
        batch: by name. Tensors with `length` places in their second dimension are cut, and all else
            is part of every window.
        length: of the texts.
        window: the number of tokens; None for all.
    """
    if window is None:
        return [dict(batch)]
    return [
        {
            name: value[:, start : start + window] if _is_text(value, length) else value
            for name, value in batch.items()
        }
        for start in range(0, length, window)
    ]


def _is_text(value: Any, length: int) -> bool:
    return isinstance(value, Tensor) and value.ndim > 1 and value.shape[1] == length
