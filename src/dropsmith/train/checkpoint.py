"""One file that holds all of an unfinished run, written whole or not at all; loading runs no code.

Tensors (weights, optimiser state, best weights, generator states) and everything else, as JSON in
the file's own header, are in one safetensors file: what belongs together cannot come apart.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.utils import _pytree as pytree

from dropsmith.errors import CheckpointError

FILE, FORMAT, VERSION = "checkpoint.safetensors", "dropsmith.checkpoint", 1

WEIGHTS = "model.safetensors"
"""The file in a run's folder that holds its best weights."""


@dataclass(frozen=True, kw_only=True)
class Saving:
    """The times at which a run writes checkpoints; they do not change what it computes.

    Args:
        seconds: after at least so much time since the last.
        steps: after every so many steps instead, where given.
    """

    seconds: float = 20.0
    steps: int | None = None

    def due(self, step: int, seconds: float) -> bool:
        """True if one is due after `step`, `seconds` after the last."""
        return seconds >= self.seconds if self.steps is None else step % self.steps == 0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state that an unfinished run is resumed from.

    Args:
        identity: what the run is: configuration and data hash. Another run may not resume from it.
        values: numbers by name, as JSON values.
        tensors: tensors by name.
    """

    identity: dict[str, Any]
    values: dict[str, Any]
    tensors: dict[str, Tensor]

    def save(self, folder: Path) -> Path:
        """Write the file into `folder` in place of an older one, and return its path.

        Raises:
            CheckpointError: it cannot be written; an older one is still there.
        """
        header = {"format": FORMAT, "version": VERSION}
        header |= {"identity": self.identity, "values": self.values}
        path = folder / FILE
        try:
            write(path, self.tensors, {"dropsmith": json.dumps(header)})
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"cannot write {path}\n  {error}") from error
        return path

    @classmethod
    def load(cls, folder: Path, identity: dict[str, Any]) -> "Checkpoint | None":
        """The checkpoint in `folder`, or None where there is none.

        Raises:
            CheckpointError: it cannot be read, or belongs to a run of another identity.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads((file.metadata() or {}).get("dropsmith", "null"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, json.JSONDecodeError) as error:
            raise CheckpointError(f"cannot read {path}\n  {error}\n{_ANEW}") from None
        _check(path, header, identity)
        return cls(identity=identity, values=header["values"], tensors=tensors)


_ANEW = "  to begin anew: delete it, or train(..., resume=False)"


def _check(path: Path, header: Any, identity: Mapping[str, Any]) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of ours\n{_ANEW}")
    if header.get("version") != VERSION:
        raise CheckpointError(
            f"{path} is of version {header.get('version')!r}, read here is {VERSION}\n{_ANEW}"
        )
    # Through JSON, as the stored one went, so that tuples and lists are alike.
    expected, stored = json.loads(json.dumps(identity)), header["identity"]
    if differing := [key for key in expected if expected[key] != stored.get(key)]:
        key = differing[0]
        raise CheckpointError(
            f"the checkpoint {path} is of another run: its {', '.join(differing)} differ\n"
            f"  {key} there: {stored.get(key)}\n  {key} here: {expected[key]}\n{_ANEW}"
        )


def write(path: Path, tensors: Mapping[str, Tensor], header: dict[str, str] | None = None) -> None:
    """A safetensors file, whole or not at all, even if the power fails.

    Tensors that share memory (tied weights) are each written in full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    save_file(copies, partial, metadata=header)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def flatten(values: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors in some named values, by the value's name and their place in it.

    >>> import torch
    >>> sorted(flatten({"state": (torch.ones(1), torch.ones(1)), "x": torch.ones(1)}))
    ['state/0', 'state/1', 'x']
    """
    tensors: dict[str, Tensor] = {}
    for name, value in values.items():
        if isinstance(value, Tensor):
            tensors[name] = value
        else:
            tensors |= {f"{name}/{i}": leaf for i, leaf in enumerate(pytree.tree_leaves(value))}
    return tensors


def pack(values: Mapping[str, Any]) -> tuple[dict[str, Tensor], str]:
    """The tensors by number, and as text how they hang together; tuples, lists and dicts do."""
    leaves, spec = pytree.tree_flatten(dict(values))
    return {str(i): leaf for i, leaf in enumerate(leaves)}, pytree.treespec_dumps(spec)


def unpack(tensors: Mapping[str, Tensor], spec: str) -> dict[str, Any]:
    """The values that `pack` took apart.

    >>> import torch
    >>> unpack(*pack({"state": (torch.zeros(1), torch.ones(1))}))
    {'state': (tensor([0.]), tensor([1.]))}
    """
    leaves = [tensors[str(i)] for i in range(len(tensors))]
    return pytree.tree_unflatten(leaves, pytree.treespec_loads(spec))
