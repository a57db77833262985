"""Weights in a file, and whether they are those of a model."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from dropsmith.errors import DataError
from dropsmith.files import read_tensors, write_tensors

WEIGHTS = "model.safetensors"
"""The file in a run's folder that holds its best weights."""

NET = "net."
"""The begin of names of weights in a model that wraps one of transformers."""

PREFIX = "prefix"
"""The text beside weights that says what their names began with in the model that was trained."""

_NAME_COUNT = 3
"""Names of weights that an error shows of each kind."""


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a file by their names in the model.

    A file of a model of transformers has them under the library's own names, and says so.

    Raises:
        DataError: it cannot be read, or holds none.
    """
    try:
        tensors, texts = read_tensors(path)
        prefix = NET if texts.get(PREFIX) == NET else ""
        return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}
    except (OSError, DataError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise DataError(
            f"cannot read weights from {path}\n  {reason}\n"
            f"  looked for: a file in the safetensors format, such as a run's {WEIGHTS}"
        ) from None


def write_weights(
    path: Path, weights: Mapping[str, Tensor], texts: Mapping[str, str], *, unwrap: bool = False
) -> None:
    """Write weights to a file, whole or not at all.

    Args:
        path: of the file.
        weights: by their names in the model.
        texts: stand beside them in the file.
        unwrap: whether the file has them under the names of the model of transformers inside.

    Raises:
        OSError, DataError: as of `write_tensors`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if unwrap:
        weights = {name.removeprefix(NET): tensor for name, tensor in weights.items()}
        texts = {**texts, PREFIX: NET}
    write_tensors(path, weights, {**texts, "format": "pt"})


def load_weights(model: nn.Module, path: Path) -> None:
    """Give a model the weights in a file.

    Raises:
        DataError: they cannot be read, or are of another model, which is as it was then.
    """
    stored = read_weights(path)
    check_weights(model, stored, path)
    model.load_state_dict(stored)


def check_weights(model: nn.Module, stored: Mapping[str, Tensor], path: Path) -> None:
    """Raise `DataError` unless the weights that were read from a path are those of a model."""
    if differing := weight_differences(stored, model.state_dict()):
        lines = "\n  ".join(differing)
        raise DataError(f"the weights in {path} are of another model\n  {lines}")


def weight_differences(stored: Mapping[str, Tensor], current: Mapping[str, Tensor]) -> list[str]:
    """The reasons why weights are not those of a model, a line for each kind.

    Weights of another precision are taken, as torch converts them; whole numbers in place of
    others are not.
    """
    pairs = [(name, stored[name], current[name]) for name in current if name in stored]
    kinds = {
        "of another shape": [
            f"{name} {tuple(there.shape)} there, {tuple(here.shape)} here"
            for name, there, here in pairs
            if there.shape != here.shape
        ],
        "of another dtype": [
            f"{name} {there.dtype} there, {here.dtype} here"
            for name, there, here in pairs
            if _kind(there) != _kind(here)
        ],
        "not there": [name for name in current if name not in stored],
        "only there": [name for name in stored if name not in current],
    }
    return [f"{kind}: {first_names(names)}" for kind, names in kinds.items() if names]


def first_names(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are.

    >>> first_names("abcde")
    'a; b; c and 2 more'
    """
    all_names = list(names)
    remainder = f" and {len(all_names) - _NAME_COUNT} more" if len(all_names) > _NAME_COUNT else ""
    return "; ".join(all_names[:_NAME_COUNT]) + remainder


def _kind(tensor: Tensor) -> str:
    if tensor.is_complex() or tensor.dtype.is_floating_point:
        return "complex" if tensor.is_complex() else "real"
    return "truth" if tensor.dtype is torch.bool else "whole"
