"""The hash of a model of the user's own: of the code that makes it, and of its parameters' shapes.

Libraries are no part of it, as a record holds their versions; weights of a pretrained folder are.
"""

import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

import dropsmith
from dropsmith.errors import DataError
from dropsmith.tasks.model_function import build_model, import_function
from dropsmith.tasks.task import Data


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
    classes = {type(module).__module__ for module in model.modules()}
    function = import_function(spec)
    digest = hashlib.sha256()
    for name, source in sorted(_sources({function.__module__, *classes})):
        digest.update(f"{name}\n{source}\n".encode())
    for name, tensor in _tensors(model):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
    return digest.hexdigest()


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _sources(names: set[str]) -> Iterator[tuple[str, str]]:
    """The names and sources of modules that are not installed, and of those that they use."""
    todo, seen = [sys.modules[name] for name in sorted(names) if name in sys.modules], set()
    while todo:
        module = todo.pop()
        path = getattr(module, "__file__", None)
        if module.__name__ in seen or path is None or _is_installed(path):
            continue
        seen.add(module.__name__)
        yield module.__name__, Path(path).read_text(errors="replace")
        todo += _used(module)


def _used(module: ModuleType) -> list[ModuleType]:
    """The modules that are among the globals of a module, or made what is."""
    names = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        for value in list(vars(module).values())
    }
    return [sys.modules[name] for name in names if isinstance(name, str) and name in sys.modules]


@lru_cache(maxsize=1)
def _library_folders() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names] + list(dropsmith.__path__)
    return tuple(Path(folder).resolve() for folder in folders)


def _is_installed(path: str) -> bool:
    place = Path(path).resolve()
    return any(place.is_relative_to(folder) for folder in _library_folders())


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
