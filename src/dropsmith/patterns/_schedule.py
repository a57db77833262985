"""The base of rate schedules: pure functions of the training step, so that runs can resume."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from dropsmith.errors import PatternError, excerpt
from dropsmith.rng import Word
from dropsmith.user_code import recorded_name

NAMES_IN_RECORDS = {
    "DropBlock": "Blocks",
    "DropConnect": "Weights",
    "StochasticDepth": "Path",
    "TorchDropout": "Native",
    "WordDropout": "Words",
    "CyclicRate": "Cyclic",
    "DepthRate": "ByDepth",
    "EarlyRate": "Early",
    "LateRate": "Late",
    "LinearRate": "Linear",
}
"""The names that records have for patterns and schedules, by which the ids of older ones hold."""


def name_in_records(value: object) -> str:
    """The name of a value's class as records have it: for one of the user's own, its reference."""
    name = recorded_name(type(value))
    return NAMES_IN_RECORDS.get(name, name)


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """A rate that changes with the training step, or with the depth of the site."""

    @abstractmethod
    def at(self, step: Word) -> float | Tensor:
        """The rate at `step`; a tensor for a tensor, so that compiled code need not recompile."""

    def at_depth(self, index: int, count: int) -> "Schedule | float":
        """The rate for site `index` of `count`; most schedules are the same at every depth."""
        return self

    def to_json(self) -> dict[str, Any]:
        """A JSON object from which `patterns.from_json` makes an equal schedule."""
        return {"schedule": name_in_records(self)} | {
            field.name: getattr(self, field.name) for field in fields(self)
        }


def check_chance(owner: str, name: str, rate: object, kinds: str = "a number") -> None:
    """Raise `PatternError` unless `rate`, which `owner` calls `name`, is a number in [0, 1)."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or rate != rate:
        raise PatternError(f"{owner}: {name} must be {kinds}, got {excerpt(rate)}")
    if not 0 <= rate < 1:
        raise PatternError(
            f"{owner}: {name} must be in [0, 1), got {excerpt(rate)}\n"
            "  rate is the probability of dropping; to turn a site off, use Off()"
        )
