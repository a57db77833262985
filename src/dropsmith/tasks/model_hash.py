"""The hash of a model of the user's own: of the code that makes it, and of its parameters' shapes.

Libraries are no part of it, as a record holds their versions; weights of a pretrained folder are.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from dropsmith.errors import DataError
from dropsmith.tasks.model_function import build_model, import_function
from dropsmith.tasks.task import Data
from dropsmith.user_code import user_sources


def model_hash(spec: str | None, data: Data) -> str | None:
    """The hash of the model that `with_model` finds under a name; None for one of the Hub.

    Args:
        spec: `package.module:function`, the folder of a pretrained model, or None.
        data: of the task, which the function may take.

    Raises:
        TaskError: the function does not make a module.
        DataError: a file of the folder cannot be read.
    """
    if spec is None:
        return None
    if ":" in spec:
        return _function_hash(spec, data)
    return _folder_hash(Path(spec)) if Path(spec).is_dir() else None


def _function_hash(spec: str, data: Data) -> str:
    with torch.random.fork_rng(devices=[]):
        model = build_model(spec, data)
    return hash_of_model(spec, model)


def hash_of_model(spec: str, model: nn.Module) -> str:
    """The hash of a model that the function of a name has made."""
    classes = {type(module).__module__ for module in model.modules()}
    function = import_function(spec)
    digest = hashlib.sha256()
    for name, source in sorted(user_sources({function.__module__, *classes})):
        digest.update(f"{name}\n{source}\n".encode())
    for name, tensor in _tensors(model):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
    return digest.hexdigest()


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise DataError(f"cannot read {path}\n  {error.strerror}") from None
        digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()
