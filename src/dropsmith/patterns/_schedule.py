"""What a rate schedule is: a pure function of the training step, so that resuming resumes it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from dropsmith.rng import Word


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
        return {"schedule": type(self).__name__} | {
            field.name: getattr(self, field.name) for field in fields(self)
        }
