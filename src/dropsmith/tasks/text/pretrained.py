"""A text task with a pretrained model, as the papers fine-tune them: `--model bert-base-cased`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import (
    PRETRAINED_NOISES,
    PretrainedClassifier,
    check_tokens,
    pretrained_plan,
    pretrained_upper_half,
)
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.selection import PARTS, check_limit
from dropsmith.tasks.learning_rates import Linear
from dropsmith.tasks.meters import Meter
from dropsmith.tasks.task import Data, Kind, Task
from dropsmith.tasks.text.notes import length_note
from dropsmith.tasks.text.source import TextSource
from dropsmith.tasks.text.text_task import TextTask
from dropsmith.tasks.text.token_preprocessing import TokenPreprocessing, kept_tokens
from dropsmith.terms import Loss

LONGEST = 128
"""Tokens of a text or a pair, at most (Liang, Wu et al., 2021, GLUE)."""


def fine_tuning(epochs: int, batch_size: int) -> Budget:
    """The budget of R-Drop's code on GLUE: 1e-5, a rise over 6 %, then down in a line."""
    return Budget(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=1e-5,
        weight_decay=0.01,
        warmup=0.06,
        schedule=Linear(),
    )


@dataclass(frozen=True, kw_only=True)
class PretrainedTextTask(Task):
    """A text task's data and scores, with a pretrained model and its tokens.

    Noise `dropout` goes wherever the model has dropout of its own, its fused attention included,
    whose kernel stays; `words` and `locked` go on its table of words.

    Args:
        task: whose data and scores.
        checkpoint: the model's name on the Hub, or a folder.
        name, budget, noises, kind, blocks: as for any task.
    """

    task: TextTask
    checkpoint: str
    name: str
    budget: Budget
    noises: tuple[str, ...] = PRETRAINED_NOISES
    kind: Kind = "classification"
    blocks: bool = True

    @property
    def upper(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride] - when asked
        """The middle of its layers, as its configuration has them."""
        return pretrained_upper_half(self.checkpoint)

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        place = data if data is not None else self.task.home
        path = place.resolve() if place is not None else None
        check_limit(limit)
        source = self.task.source.with_options(self.data_options)
        states = source.states(path, self.data_options)
        return _read(source, self.checkpoint, path, limit, self.data_options, states)

    def model(self, data: Data) -> nn.Module:
        return PretrainedClassifier(self.checkpoint, max(data.classes, 1))

    def plan(self, noise: str, rate: float) -> Plan:
        return pretrained_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return self.task.loss(output, batch)

    def meters(self) -> dict[str, Meter]:
        return self.task.meters()


def with_pretrained(task: TextTask, checkpoint: str) -> PretrainedTextTask:
    """The task with a pretrained model, and with the budget that papers fine-tune it by."""
    return PretrainedTextTask(
        task=task,
        checkpoint=checkpoint,
        name=task.name,
        budget=_BUDGETS.get(task.name, fine_tuning(10, 32)),
        kind=task.kind,
        data_options=task.data_options,
    )


# Epochs from the updates and batches of R-Drop's code, as many as they come to.
_BUDGETS = {
    "rte": fine_tuning(7, 8),
    "mrpc": fine_tuning(10, 16),
    "cola": fine_tuning(10, 16),
    "stsb": fine_tuning(10, 16),
}


@cached_by_files(2)
def _read(
    source: TextSource,
    checkpoint: str,
    data: Path | None,
    limit: int | None,
    options: DataOptions,
    states: object,
) -> Data:
    length = kept_tokens(checkpoint, options.text_length, LONGEST)
    examples = source.examples(data, limit, options)
    steps = TokenPreprocessing(
        reading=examples.reading, label=examples.label, checkpoint=checkpoint, length=length
    )
    splits = [steps.split(examples.texts[part], examples.labels[part]) for part in PARTS]
    numbers = (int(part.columns["input_ids"].max()) for part in splits)
    check_tokens(checkpoint, max(numbers))
    sizes = steps.sizes(examples.texts["train"])
    return Data.of(
        splits,
        names=examples.names,
        source=f"{examples.source}, in tokens of {checkpoint}",
        mean=examples.label.mean,
        notes=(*examples.notes, length_note(sizes, length, "tokens")),
        preprocessing=steps,
    )
