"""The checkpoint of an unfinished run: one file, written whole or not at all; loading runs no code.

One safetensors file has the tensors (weights, optimiser state, best weights, generator states) and,
as JSON in its header, all other values, so that they always fit together. The header has a hash of
everything, so that a flipped bit in a weight is noticed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Len
from torch import Tensor
from typing_extensions import TypedDict

from dropsmith.errors import CheckpointError, DataError, TrainingError, excerpt
from dropsmith.files import Count, check, parse_json, plain_tensors, read_tensors, write_tensors
from dropsmith.numbers import check_number, check_whole

Pair = Annotated[list[float], Len(2, 2)]
"""A sum and its number of items."""


class RunValues(TypedDict):
    """The numbers of an unfinished run, as described in `State`."""

    step: Count
    loss: Pair
    beside: dict[str, Pair]
    curve: list[dict[str, float]]
    best_nll: float | None
    worse: Count
    seconds: Annotated[float, Ge(0)]
    processor_seconds: float
    peak_bytes: Annotated[float, Ge(0)]
    noise_step: Count
    groups: list[dict[str, Any]]
    carried: dict[str, Any]


class Header(TypedDict):
    """The header of a checkpoint."""

    format: Literal["dropsmith.checkpoint"]
    version: int
    identity: dict[str, Any]
    values: RunValues


FILE, FORMAT, VERSION = "checkpoint.safetensors", "dropsmith.checkpoint", 2


@dataclass(frozen=True, kw_only=True)
class Saving:
    """The times at which a run writes checkpoints; they do not change its result.

    Args:
        seconds: the least time between two checkpoints.
        steps: if given, the number of steps between two checkpoints, in place of `seconds`.

    Raises:
        TrainingError: a value is not a number, or out of range.
    """

    seconds: float = 20.0
    steps: int | None = None

    def __post_init__(self) -> None:
        check_number("seconds", self.seconds, TrainingError)
        if self.steps is not None:
            check_whole("steps", self.steps, 1, TrainingError)

    def due(self, step: int, seconds: float) -> bool:
        """True if a checkpoint is due after `step`, and `seconds` after the last one."""
        return seconds >= self.seconds if self.steps is None else step % self.steps == 0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state that an unfinished run is resumed from.

    Args:
        identity: the configuration and hashes of the run; another run may not resume from it.
        values: numbers by name, as JSON values.
        tensors: tensors by name.
        path: of the file it was read from.
    """

    identity: dict[str, Any]
    values: RunValues
    tensors: dict[str, Tensor]
    path: Path | None = None

    def save(self, folder: Path) -> Path:
        """Write the file into `folder`, replacing an earlier one, and return its path.

        Raises:
            CheckpointError: it cannot be written; an earlier one is kept.
        """
        header = {"format": FORMAT, "version": VERSION}
        text = json.dumps(header | {"identity": self.identity, "values": self.values})
        path = folder / FILE
        try:
            tensors = plain_tensors(self.tensors)
            write(path, tensors, {_HEADER: text, _HASH: _hash(text, tensors)})
        except (OSError, DataError) as error:
            raise CheckpointError(f"cannot write {path}\n  {error}") from error
        return path

    @classmethod
    def load(cls, folder: Path, identity: dict[str, Any]) -> "Checkpoint | None":
        """The checkpoint in `folder`, or None without one.

        Raises:
            CheckpointError: it cannot be read, or is of another run.
        """
        path = folder / FILE
        if not path.exists():
            return None
        try:
            tensors, texts = read_tensors(path)
            header = parse_json(texts.get(_HEADER, "null"))
        except (OSError, DataError) as error:
            raise CheckpointError(f"cannot read {path}\n  {error}\n{_ANEW}") from None
        values = _checked(path, header, identity)
        if texts.get(_HASH) != _hash(texts[_HEADER], tensors):
            raise CheckpointError(
                f"cannot read {path}\n  it has changed since it was written\n{_ANEW}"
            )
        return cls(identity=identity, values=values, tensors=tensors, path=path)

    def fault(self, reason: object) -> CheckpointError:
        """The error for a checkpoint that a run cannot resume from, with the reason."""
        name = "this checkpoint" if self.path is None else str(self.path)
        return CheckpointError(f"cannot resume from {name}\n  {reason}\n{_ANEW}")


_HEADER, _HASH = "dropsmith", "sha256"

_ANEW = "  to train from the start: delete it, or train(..., resume=False)"


def _checked(path: Path, header: Any, identity: Mapping[str, Any]) -> RunValues:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of dropsmith\n{_ANEW}")
    if header.get("version") != VERSION:
        raise CheckpointError(
            f"{path} is of version {excerpt(header.get('version'))}, read here is "
            f"{VERSION}\n{_ANEW}"
        )
    try:
        checked = check(header, Header, CheckpointError)
    except CheckpointError as error:
        raise CheckpointError(f"cannot read {path}\n  {error}\n{_ANEW}") from None
    # Through JSON, like the stored one, in which tuples are lists.
    expected, stored = json.loads(json.dumps(identity)), checked["identity"]
    if differing := [key for key in expected if expected[key] != stored.get(key)]:
        key = differing[0]
        raise CheckpointError(
            f"the checkpoint {path} is of another run: its {', '.join(differing)} differ\n"
            f"  {key} there: {stored.get(key)}\n  {key} here: {expected[key]}\n{_ANEW}"
        )
    return checked["values"]


def _hash(header: str, tensors: Mapping[str, Tensor]) -> str:
    """A hash of a header and of tensors: their names, dtypes, shapes and bytes."""
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write(
    path: Path, tensors: Mapping[str, Tensor], texts: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file whole or not at all, and make its folder if it is missing.

    Raises:
        OSError, DataError: as in `write_tensors`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, texts)
