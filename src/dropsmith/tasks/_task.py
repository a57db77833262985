"""What a task is: data, a small model, a loss and the numbers it is judged by."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.sites import Plan
from dropsmith.terms import Loss
from dropsmith.views import logits_of


@dataclass(frozen=True)
class Split:
    """Aligned columns: row i of every tensor belongs to example i.

    >>> texts = Split({"tokens": torch.tensor([[5, 6, 7], [8, 0, 0]])}, padded=("tokens",))
    >>> texts.rows(slice(1, 2))
    {'tokens': tensor([[8]])}

    Args:
        columns: what the model's forward takes, by argument name, and `labels`.
        padded: columns whose rows are filled up with zeros; a batch keeps no more of them than
            its longest row needs.
    """

    columns: Mapping[str, Tensor]
    padded: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def rows(self, index: Tensor | slice) -> dict[str, Tensor]:
        """The batch that holds these rows."""
        batch = {name: column[index] for name, column in self.columns.items()}
        return batch | {name: _trimmed(batch[name]) for name in self.padded}


def _trimmed(rows: Tensor) -> Tensor:
    longest = int((rows != 0).any(0).nonzero().max()) + 1 if bool(rows.any()) else 1
    return rows[:, :longest]


@dataclass(frozen=True, kw_only=True)
class Data:
    """A task's examples, kept apart: choices are made on validation, the table reports test.

    Args:
        train, validation, test: disjoint examples.
        classes: how many labels there are.
        names: what the labels are called, in order.
        sha256: hash of the examples and their split.
        source: where they come from, in words for the report.
        vocabulary: the words of a text by their number; empty where examples hold none.
    """

    train: Split
    validation: Split
    test: Split
    classes: int
    names: tuple[str, ...]
    sha256: str
    source: str
    vocabulary: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        parts: Sequence[Split],
        *,
        names: Sequence[str],
        source: str,
        vocabulary: tuple[str, ...] = (),
    ) -> "Data":
        """Data of the three parts train, validation and test, their hash taken here."""
        train, validation, test = parts
        return cls(
            train=train,
            validation=validation,
            test=test,
            classes=len(names),
            names=tuple(names),
            sha256=_hash(parts, (*names, *vocabulary)),
            source=source,
            vocabulary=vocabulary,
        )


def _hash(parts: Sequence[Split], names: Sequence[str]) -> str:
    digest = hashlib.sha256(repr(tuple(names)).encode())
    for part in parts:
        for name, column in sorted(part.columns.items()):
            digest.update(f"{name} {column.dtype} {tuple(column.shape)}".encode())
            digest.update(column.contiguous().numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a run is and how it steps, in example-views so that methods can be compared.

    Args:
        epochs: passes over the training examples of a one-view method; a two-view method makes
            half as many, so that both see the same number of example-views.
        batch_size: examples a step sees, or all of them where there are fewer.
        learning_rate: AdamW's, at the top of its schedule: a linear rise, then half a cosine.
        weight_decay: AdamW's.
        warmup: the share of all steps over which the learning rate rises.
        clip: longest gradient, as the norm over all parameters; None for any length.
        patience: stop after this many evaluations in a row without a better validation
            likelihood; None to run to the end.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.0
    warmup: float = 0.1
    clip: float | None = 1.0
    patience: int | None = None


class Task(ABC):
    """One kind of problem on one source of data; a frozen value.

    A task carries, as class or instance attributes, its `name` on the command line, its
    `noises` (the kinds that `plan` can place in its model), its `budget` (which trains its model
    in a short while on two cores), and whether `perplexity` is shown for it.
    """

    name: str
    noises: tuple[str, ...]
    budget: Budget
    perplexity: bool = False

    @abstractmethod
    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        """Read the examples; the same arguments give the same examples, read once per process.

        Args:
            data: the folder or file to read, for tasks that do not carry their own.
            limit: how many training examples to use; None for the task's own choice.

        Raises:
            DataError: what was looked for is missing or is not what it should be.
        """

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
        """`nll` (in nats) and `accuracy` of one batch as (sum, count): the items `loss` counts."""
        loss = self.loss(output, batch)
        right = logits_of(output).argmax(-1) == batch["labels"]
        right = right if loss.mask is None else right[loss.mask]
        return {
            "nll": (float(loss.mean.sum), float(loss.mean.count)),
            "accuracy": (float(right.sum()), float(right.numel())),
        }


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are; the CPU for a model without any."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
