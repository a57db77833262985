"""A task: data, a small model, a loss and the numbers that it is judged by."""

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import NO_OPTIONS, DataOptions, Kind
from dropsmith.tasks.data.part import Part
from dropsmith.tasks.data.preprocessing import Preprocessing
from dropsmith.tasks.generation import GenerationScores
from dropsmith.tasks.images.augmentation import Augmentation
from dropsmith.tasks.meters import Meter
from dropsmith.terms import Loss


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
        full_size: how many training examples there are without a limit, in what a limit counts,
            where that is not what a step counts.
        mean: what was taken from values before they were divided by the `unit` of their part.
        notes: what was found in the data beside its parts, each with a word for what it is about.
        preprocessing: the steps by which new examples become the model's columns; None where data
            does not come from files of examples.
        unlabelled: training examples without a label, which `train` does not hold; None for none.
        unlabelled_sha256: hash of these, where they come from another place than the others.
    """

    train: Part
    validation: Part
    test: Part
    classes: int
    names: tuple[str, ...]
    sha256: str
    source: str
    vocabulary: tuple[str, ...] = ()
    full_size: int | None = None
    mean: float = 0.0
    notes: tuple[tuple[str, str], ...] = ()
    preprocessing: Preprocessing | None = None
    unlabelled: Part | None = None
    unlabelled_sha256: str | None = None

    @classmethod
    def of(
        cls,
        parts: Sequence[Part],
        *,
        names: Sequence[str],
        source: str,
        vocabulary: tuple[str, ...] = (),
        full_size: int | None = None,
        mean: float = 0.0,
        notes: tuple[tuple[str, str], ...] = (),
        preprocessing: Preprocessing | None = None,
        settings: tuple[str, ...] = (),
    ) -> "Data":
        """Data of the three parts train, validation and test, their hash taken here.

        Args:
            parts: train, validation and test.
            names, source, vocabulary, full_size, mean, notes, preprocessing: see above.
            settings: what else decides the model, and so is hashed: an unusual length of texts.
        """
        train, validation, test = parts
        return cls(
            train=train,
            validation=validation,
            test=test,
            classes=len(names),
            names=tuple(names),
            sha256=_hash(parts, (*names, *vocabulary, *settings)),
            source=source,
            vocabulary=vocabulary,
            full_size=full_size,
            mean=mean,
            notes=notes,
            preprocessing=preprocessing,
        )


def _hash(parts: Sequence[Part], names: Sequence[str]) -> str:
    digest = hashlib.sha256(repr(tuple(names)).encode())
    for part in parts:
        for name, column in sorted(part.tensors().items()):
            digest.update(f"{name} {column.dtype} {tuple(column.shape)}".encode())
            digest.update(column.contiguous().numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class _WithDataOptions:
    data_options: DataOptions = NO_OPTIONS


class Task(_WithDataOptions, ABC):
    """One kind of problem on one source of data; a frozen value.

    A task carries, as class or instance attributes, its `name` on the command line, its
    `noises` (the kinds that `plan` can place in its model), which of them methods of two views
    are run on (`paired_noise`), its `budget` (which trains its model
    in a short while on two cores), whether `perplexity` is shown for it, its `kind`:
    `classification` or `regression`, by what the model returns, whether its model is
    made of Transformer `blocks` that objectives can read, and where the `upper` half of its layers
    begins: the name of a module, or None. Its `data_options` say how its data is
    read, of which it takes those named in `option_names`.
    """

    name: str
    noises: tuple[str, ...]
    paired_noise: str = "dropout"
    budget: Budget
    perplexity: bool = False
    blocks: bool = False
    upper: str | None = None
    kind: Kind = "classification"
    option_names: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if cls.kind not in get_args(Kind):
            raise TaskError(
                f"{cls.__name__}: no kind of task is called {cls.kind!r}\n"
                f"  there are: {', '.join(get_args(Kind))}"
            )

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
        """A plan of a kind of noise in this task's model; `TaskError` lists `noises` otherwise."""

    @abstractmethod
    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        """The loss of one view, as sum and count of counted items."""

    def strong_augmentations(self, data: Data) -> tuple[Augmentation, ...]:
        """What changes the images of a second view of examples without a label, in order.

        Nothing, unless examples are images: the two views then differ by their noise alone.
        """
        return ()

    def carry(self, output: Any) -> Mapping[str, Any]:
        """Arguments of the next window of the same text beside its columns, by name.

        Nothing, unless a task reads streams. What is carried has its rows first, as the columns
        have; it is taken from view 0, without its graph.
        """
        return {}

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        """Scores of one batch as (sum, count): over the items that `loss` counts.

        `nll` (in nats) and `accuracy` of classes, `mse` of values. The first is what weights and
        settings are chosen by, on validation.
        """
        loss = self.loss(output, batch)
        if self.kind == "regression":
            return {"mse": loss.mean.numbers}
        right = logits_of(output).argmax(-1) == batch["labels"]
        right = right if loss.mask is None else right[loss.mask]
        return {
            "nll": loss.mean.numbers,
            "accuracy": (float(right.sum()), float(right.numel())),
        }

    def meters(self) -> dict[str, Meter]:
        """New meters of scores that are no means over examples; none, unless a task has some."""
        return {}

    def score_generation(self, model: nn.Module, data: Data) -> GenerationScores:
        """Scores of what the trained model writes for the test examples, and how they came about.

        Nothing, unless texts are written. The model is in eval mode.
        """
        return GenerationScores()

    def measures(self, means: Mapping[str, float], part: Part) -> dict[str, float]:
        """The scores of a part of the data, from the means of `score` over it.

        A perplexity task adds exp(nll); values add the root of the squared error and have the
        absolute error, both in the unit of the data.
        """
        scores = dict(means)
        if self.perplexity:
            scores["perplexity"] = math.exp(min(means["nll"], 700.0))
        if self.kind == "regression":
            scores["rmse"] = part.unit * math.sqrt(means["mse"])
        if "mae" in means:
            scores["mae"] = part.unit * means["mae"]
        return scores


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's parameters; the CPU for a model without any."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
