"""Snapshots of samplers: what binds one to its sampler, and a file that holds one.

The file is one of safetensors: tensors as they are, all else as JSON beside them. Reading it runs
no code, and it is written whole or not at all.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dropsmith.errors import SearchError
from dropsmith.search.sampler import Sampler, State

_VALUES = "dropsmith.sampler"


def head(sampler: Sampler, settings: Mapping[str, Any]) -> State:
    """What a snapshot says of the sampler that it is of."""
    own = {"sampler": sampler.name, "space": sampler.space.version, "seed": sampler.seed}
    return own | {"settings": dict(settings)}


def check_same(sampler: Sampler, settings: Mapping[str, Any], state: State) -> None:
    """Raise `SearchError` unless a snapshot is of a sampler like this one."""
    for name, own in head(sampler, settings).items():
        if name not in state:
            raise SearchError(f"not a snapshot of a sampler: it has no {name!r}")
        if state[name] != own:
            raise SearchError(
                f"this snapshot is of another sampler\n"
                f"  its {name}: {state[name]!r}\n  here it is: {own!r}"
            )


def save_state(state: State, path: Path) -> None:
    """Write a snapshot."""
    tensors = {name: own.contiguous() for name, own in state.items() if isinstance(own, Tensor)}
    values = {name: own for name, own in state.items() if name not in tensors}
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    save_file(tensors, partial, metadata={_VALUES: json.dumps(values)})
    partial.replace(path)


def load_state(path: Path) -> State:
    """Read a snapshot; `SearchError` naming the file where it holds none."""
    try:
        with safe_open(path, framework="pt") as file:
            values = json.loads(file.metadata()[_VALUES])
            return values | {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SearchError(f"cannot read a sampler's snapshot from {path}\n  {error}") from None
