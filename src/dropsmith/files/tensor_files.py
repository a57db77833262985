"""Tensors and a few texts in a safetensors file, the reading of which runs no code."""

from collections.abc import Mapping
from math import inf
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dropsmith.errors import DataError, excerpt
from dropsmith.files.whole_files import whole_file


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str] | None = None
) -> None:
    """Write tensors, and texts by name beside them, to a file, whole or not at all.

    Tensors that share memory (tied weights) are each written in full.

    Raises:
        OSError: the file cannot be written; one that was there before is as it was.
        DataError: a tensor is of a kind that such files do not hold, such as a sparse one.
    """
    plain = plain_tensors(tensors)
    with whole_file(path) as partial:
        try:
            save_file(plain, partial, metadata=dict(texts) if texts else None)
        except SafetensorError as error:  # of the disk
            raise OSError(str(error)) from error
        except (ValueError, LookupError) as error:
            raise DataError(f"the tensors cannot be written: {error}") from None


def plain_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as files hold them: on the CPU, contiguous, and no two in the same memory.

    Raises:
        DataError: a tensor is of a kind that cannot be so, such as a sparse one.
    """
    plain: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
            kind = "meta" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
            raise DataError(f"tensor {name} cannot be written: it is {kind}, not dense")
        copy = tensor.detach().cpu().contiguous()
        place = copy.untyped_storage().data_ptr()
        plain[name] = copy.clone() if place in places else copy
        places.add(place)
    return plain


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors in a file by name, and the texts beside them.

    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "some.safetensors"
    >>> write_tensors(path, {"weight": torch.ones(2)}, {"task": "digits"})
    >>> read_tensors(path)
    ({'weight': tensor([1., 1.])}, {'task': 'digits'})

    Raises:
        DataError: the file holds none; the message does not name the file.
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise DataError("it is not a regular file")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    # A dtype that torch has no tensors of ends in errors of any of the last kinds.
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(f"it is no whole file of safetensors: {error}") from None


def tensor_mismatch(tensor: object, like: Tensor) -> str | None:
    """What keeps a stored tensor from taking the place of another; None where nothing does.

    >>> import torch
    >>> tensor_mismatch(torch.ones(3), torch.ones(2))
    'should be of shape (2,), but is of (3,)'
    """
    if not isinstance(tensor, Tensor):
        return f"should be a tensor, but is {excerpt(tensor)}"
    for kind in ("shape", "dtype"):
        there, here = getattr(tensor, kind), getattr(like, kind)
        if there != here:
            there, here = (tuple(x) if kind == "shape" else x for x in (there, here))
            return f"should be of {kind} {here}, but is of {there}"
    return None


def count_mismatch(tensor: Tensor) -> str | None:
    """What keeps a stored tensor from being a count of steps, by which others are divided.

    Tensors with dimensions are no counts.
    """
    if tensor.dim() == 0 and not 0 <= float(tensor) < inf:
        return f"should be 0 or more, but is {float(tensor)}"
    return None
