"""What a task is: data, a small model, a loss and the numbers it is judged by."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dropsmith.sites import Plan
from dropsmith.terms import Loss


@dataclass(frozen=True)
class Split:
    """Aligned columns: row i of every tensor belongs to example i.

    Args:
        columns: what the model's forward takes, by argument name, and `labels`.
    """

    columns: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        """The batch that holds these rows."""
        return {name: column[index] for name, column in self.columns.items()}


@dataclass(frozen=True, kw_only=True)
class Data:
    """A task's examples, kept apart: choices are made on validation, the table reports test.

    Args:
        train, validation, test: disjoint examples.
        classes: how many labels there are.
        names: what the labels are called, in order.
        sha256: hash of the examples and their split.
        source: where they come from, in words for the report.
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    names: tuple[str, ...]
    sha256: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a run is and how it steps, in example-views so that methods can be compared.

    Args:
        epochs: passes over the training examples of a one-view method; a two-view method makes
            half as many, so that both see the same number of example-views.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Task(ABC):
    """One kind of problem on one source of data."""

    name: ClassVar[str]
    noises: ClassVar[tuple[str, ...]]
    """The kinds of noise that `plan` can place in this task's model."""

    @property
    @abstractmethod
    def budget(self) -> Budget:
        """The budget that trains this task's model in a short while on two cores."""

    @abstractmethod
    def load(self, data: Path | None = None) -> Data:
        """Read the examples; raise `DataError` saying what was looked for where it is missing."""

    @abstractmethod
    def model(self, data: Data) -> nn.Module:
        """A new small model, without noise of its own, drawn from torch's generator."""

    @abstractmethod
    def plan(self, noise: str, rate: float) -> Plan:
        """Where this task's model drops what: `TaskError` lists `noises` for an unknown one."""

    @abstractmethod
    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        """The loss of one view, as sum and count of counted items."""

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        """Evaluation numbers of one batch as (sum, count) by name, `nll` and `accuracy` at least."""
        raise NotImplementedError


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are; the CPU for a model without any."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
