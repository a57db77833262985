"""One file that holds all of an unfinished run, written whole or not at all; loading runs no code.

Tensors (weights, optimiser state, best weights, generator states) and everything else, as JSON in
the file's own header, are in one safetensors file: what belongs together cannot come apart. A hash
of all of it is there, too, as a bit that flipped in a weight would change a run without a word.
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
"""A sum, and how many items it is of."""


class RunValues(TypedDict):
    """The numbers of an unfinished run; `State` says what they are."""

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
    """The times at which a run writes checkpoints; they do not change what it computes.

    Args:
        seconds: after at least so much time since the last.
        steps: after every so many steps instead, where given.

    Raises:
        TrainingError: one is no number, or out of range.
    """

    seconds: float = 20.0
    steps: int | None = None

    def __post_init__(self) -> None:
        check_number("seconds", self.seconds, TrainingError)
        if self.steps is not None:
            check_whole("steps", self.steps, 1, TrainingError)

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
        path: of the file it was read from.
    """

    identity: dict[str, Any]
    values: RunValues
    tensors: dict[str, Tensor]
    path: Path | None = None

    def save(self, folder: Path) -> Path:
        """Write the file into `folder` in place of an older one, and return its path.

        Raises:
            CheckpointError: it cannot be written; an older one is still there.
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
        """The checkpoint in `folder`, or None where there is none.

        Raises:
            CheckpointError: it cannot be read, or belongs to a run of another identity.
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
        """The error for a checkpoint that a run cannot go on from, with the reason."""
        name = "this checkpoint" if self.path is None else str(self.path)
        return CheckpointError(f"cannot go on from {name}\n  {reason}\n{_ANEW}")


_HEADER, _HASH = "dropsmith", "sha256"

_ANEW = "  to begin anew: delete it, or train(..., resume=False)"


def _checked(path: Path, header: Any, identity: Mapping[str, Any]) -> RunValues:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a checkpoint of ours\n{_ANEW}")
    if header.get("version") != VERSION:
        raise CheckpointError(
            f"{path} is of version {excerpt(header.get('version'))}, read here is "
            f"{VERSION}\n{_ANEW}"
        )
    try:
        checked = check(header, Header, CheckpointError)
    except CheckpointError as error:
        raise CheckpointError(f"cannot read {path}\n  {error}\n{_ANEW}") from None
    # Through JSON, as the stored one went, so that tuples and lists are alike.
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
    """A safetensors file in a folder that is made where it is missing, whole or not at all.

    Raises:
        OSError, DataError: as of `write_tensors`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, tensors, texts)
