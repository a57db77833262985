"""A sampler: it proposes the next trial, and learns from the results of those before.

A snapshot of one is a file of safetensors: tensors as they are, all else as JSON beside them.
Reading it runs no code, and it is written whole or not at all.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from dropsmith.errors import DataError, SearchError, excerpt
from dropsmith.files import parse_json, read_tensors, write_tensors
from dropsmith.instances import check_type, checked_path
from dropsmith.numbers import check_seed
from dropsmith.pattern_search.spaces.space import Space, Tokens

State = dict[str, Any]
"""A snapshot by name: each value is a tensor or a JSON value, so that no file of it runs code."""


@dataclass(frozen=True)
class Proposal:
    """The tokens to try in a trial.

    Args:
        tokens: for each choice, the index of its value.
        version: how many updates the policy that proposed it had seen; 0 where none is learned.
        log_probability: with which they were drawn; 0 where none is learned.
    """

    tokens: Tokens
    version: int = 0
    log_probability: float = 0.0


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial, as a sampler learns of it.

    Args:
        number: the trial's.
        proposal: its tokens, and how they were proposed.
        score: higher is better; None where the trial failed or was stopped without one.

    Raises:
        SearchError: the score is not finite, which would spoil every average it entered.
    """

    number: int
    proposal: Proposal
    score: float | None

    def __post_init__(self) -> None:
        if self.score is not None and not isfinite(self.score):
            raise SearchError(
                f"the score of trial {self.number} is {self.score}\n"
                "  tell None of a trial that failed"
            )


class Sampler(ABC):
    """Ask and tell: it sees tokens and numbers, never models.

    `ask` is a function of the seed, the trial's number, the trials that run now, and the results
    told so far in their order: asking again gives the same proposal, and asking changes nothing.

    Attributes:
        name: its name in `SAMPLERS` and in a study.
        space: the space it proposes from.
        seed: of its draws.
    """

    name: ClassVar[str]
    space: Space
    seed: int

    @abstractmethod
    def ask(self, number: int, running: Sequence[Tokens] = ()) -> Proposal:
        """Propose the tokens of trial `number`.

        Args:
            number: the trial's.
            running: the tokens of the trials that run now, which a sampler may avoid.
        """

    @abstractmethod
    def tell(self, result: TrialResult) -> None:
        """Learn of a trial's result; a trial without a score carries no reward."""

    @abstractmethod
    def state(self) -> State:
        """Everything `restore` needs to go on exactly from here."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Go on from a snapshot that a sampler with the same settings made.

        Raises:
            SearchError: the snapshot is of another sampler, space or seed.
        """


def check_origin(space: Any, seed: Any) -> None:
    """Raise an error unless a sampler can propose from this space with this seed."""
    check_type("space", space, Space, "a Space, such as spaces.conv(...) makes")
    check_seed(seed, SearchError)


_VALUES = "dropsmith.sampler"


def snapshot_header(sampler: Sampler, settings: Mapping[str, Any]) -> State:
    """The entries of a snapshot that name its sampler, space, seed and settings."""
    names = {"sampler": sampler.name, "space": sampler.space.version, "seed": sampler.seed}
    return names | {"settings": dict(settings)}


def check_same(sampler: Sampler, settings: Mapping[str, Any], state: State) -> None:
    """Raise `SearchError` unless a snapshot is of a sampler like this one."""
    for name, expected in snapshot_header(sampler, settings).items():
        if name not in state:
            raise SearchError(f"not a snapshot of a sampler: it has no {excerpt(name)}")
        if state[name] != expected:
            raise SearchError(
                f"this snapshot is of another sampler\n"
                f"  its {name}: {excerpt(state[name])}\n  here it is: {excerpt(expected)}"
            )


def save_state(state: State, path: Path) -> None:
    """Write a snapshot."""
    path = checked_path("path", path)
    tensors = {key: entry for key, entry in state.items() if isinstance(entry, Tensor)}
    values = {key: entry for key, entry in state.items() if key not in tensors}
    write_tensors(path, tensors, {_VALUES: json.dumps(values)})


def load_state(path: Path) -> State:
    """Read a snapshot; `SearchError` naming the file where it holds none."""
    path = checked_path("path", path)
    try:
        tensors, texts = read_tensors(path)
        values = parse_json(texts.get(_VALUES, ""))
        if not isinstance(values, dict) or values.keys() & tensors.keys():
            raise DataError("its values and tensors are not those of a snapshot")
    except (OSError, DataError) as error:
        raise SearchError(f"cannot read a sampler's snapshot from {path}\n  {error}") from None
    return values | tensors
