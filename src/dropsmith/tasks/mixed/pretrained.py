"""Texts with numbers beside each, by a pretrained encoder: `--model bert-base-cased`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import (
    PRETRAINED_MIXED_NOISES,
    PretrainedMixed,
    check_tokens,
    pretrained_mixed_plan,
    pretrained_upper_half,
)
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.selection import check_limit
from dropsmith.tasks.data.table_layout import TableLayout, find_layout
from dropsmith.tasks.data.table_parts import file_states
from dropsmith.tasks.mixed.examples import read_mixed
from dropsmith.tasks.mixed.mixed_task import MixedTask
from dropsmith.tasks.mixed.preprocessing import MixedPreprocessing
from dropsmith.tasks.task import Data, Kind, Task
from dropsmith.tasks.text.notes import length_note
from dropsmith.tasks.text.pretrained import LONGEST, fine_tuning
from dropsmith.tasks.text.token_preprocessing import TokenPreprocessing, kept_tokens
from dropsmith.terms import Loss

_BUDGET = fine_tuning(10, 32)


@dataclass(frozen=True, kw_only=True)
class PretrainedMixedTask(Task):
    """A table's texts, numbers and scores, with a pretrained encoder and its tokens.

    Args:
        task: whose data and loss.
        checkpoint: the encoder's name on the Hub, or a folder.
        name, budget, noises, kind, blocks: as for any task.
    """

    task: MixedTask
    checkpoint: str
    name: str
    budget: Budget = _BUDGET
    noises: tuple[str, ...] = PRETRAINED_MIXED_NOISES
    kind: Kind = "classification"
    blocks: bool = True

    @property
    def upper(self) -> str | None:  # pyright: ignore[reportIncompatibleVariableOverride] - when asked
        """The middle of its layers, as its configuration has them."""
        return pretrained_upper_half(self.checkpoint)

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        place, options = self.task.place(data), self.data_options
        check_limit(limit)
        layout = find_layout(place, options, self.task.inputs)
        states = file_states(place, options)
        return _read(self.checkpoint, place, layout, limit, options, states)

    def model(self, data: Data) -> nn.Module:
        steps = data.preprocessing
        assert isinstance(steps, MixedPreprocessing)
        return PretrainedMixed(
            self.checkpoint, classes=max(data.classes, 1), features=steps.numbers.width
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return pretrained_mixed_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return self.task.loss(output, batch)


def with_pretrained_encoder(task: MixedTask, checkpoint: str) -> PretrainedMixedTask:
    """The task with a pretrained encoder of its texts."""
    return PretrainedMixedTask(
        task=task,
        checkpoint=checkpoint,
        name=task.name,
        kind=task.kind,
        data_options=task.data_options,
    )


@cached_by_files(2)
def _read(
    checkpoint: str,
    data: Path,
    layout: TableLayout,
    limit: int | None,
    options: DataOptions,
    states: object,
) -> Data:
    length = kept_tokens(checkpoint, options.text_length, LONGEST)
    examples, reading = read_mixed(data, layout, limit, options)
    text = TokenPreprocessing(
        reading=reading, label=examples.numbers.label, checkpoint=checkpoint, length=length
    )
    steps = examples.steps(text)
    splits = examples.splits(steps)
    check_tokens(checkpoint, max(int(part.columns["input_ids"].max()) for part in splits))
    sizes = text.sizes(examples.texts["train"])
    return Data.of(
        splits,
        names=examples.names,
        source=f"{examples.source}, in tokens of {checkpoint}",
        mean=text.label.mean,
        notes=(*examples.notes, length_note(sizes, length, "tokens")),
        preprocessing=steps,
    )
