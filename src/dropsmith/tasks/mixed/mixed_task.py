"""Tables of texts with numbers and categories beside each, for `SmallMixed`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.errors import DataError
from dropsmith.models import MIXED_NOISES, SmallMixed, mixed_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.column_roles import InputKind
from dropsmith.tasks.data.data_options import OWN_TABLE, DataOptions
from dropsmith.tasks.data.selection import check_limit
from dropsmith.tasks.data.table_layout import TableLayout, find_layout
from dropsmith.tasks.data.table_parts import file_states
from dropsmith.tasks.mixed.examples import read_mixed
from dropsmith.tasks.mixed.preprocessing import MixedPreprocessing
from dropsmith.tasks.task import Data, Kind, Task
from dropsmith.tasks.text.notes import length_note
from dropsmith.tasks.text.preprocessing import TextPreprocessing
from dropsmith.tasks.text.source import LONGEST, fit_vocabulary
from dropsmith.terms import Loss

_BUDGET = Budget(epochs=12, batch_size=64, learning_rate=1e-3, weight_decay=0.01)


@dataclass(frozen=True, kw_only=True)
class MixedTask(Task):
    """A table of texts, or pairs of them, with numbers and categories beside each.

    Args:
        name: what the task is called.
        budget: the budget that suits it.
        home: what is read where no `data` is given.
        kind: whether labels are classes or values.
        inputs: what the model reads by the name of the task, `text` or `numbers`, where it says so;
            options name the columns of the other.
    """

    name: str
    budget: Budget = _BUDGET
    home: Path | None = None
    noises: tuple[str, ...] = MIXED_NOISES
    blocks: bool = True
    upper: str | None = "layers.1"
    kind: Kind = "classification"
    inputs: InputKind | None = None
    option_names = OWN_TABLE

    def place(self, data: Path | None) -> Path:
        """The table or folder that is read; `DataError` where there is none."""
        place = data if data is not None else self.home
        if place is None:
            raise DataError(f"the task {self.name} reads a table\n  give it: --data FILE")
        return place.resolve()

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        place, options = self.place(data), self.data_options
        check_limit(limit)
        layout = find_layout(place, options, self.inputs)
        return _read(place, layout, limit, options, file_states(place, options))

    def model(self, data: Data) -> nn.Module:
        steps = data.preprocessing
        assert isinstance(steps, MixedPreprocessing)
        assert isinstance(steps.text, TextPreprocessing)
        return SmallMixed(
            words=len(data.vocabulary),
            classes=data.classes if self.kind == "classification" else 1,
            length=steps.text.length,
            features=steps.numbers.width,
            pairs=steps.text.is_paired,
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return mixed_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        loss_of = losses.classification if self.kind == "classification" else losses.regression
        return loss_of(logits_of(output), batch["labels"])


@lru_cache(maxsize=4)
def _read(
    path: Path, layout: TableLayout, limit: int | None, options: DataOptions, states: object
) -> Data:
    examples, reading = read_mixed(path, layout, limit, options)
    length = options.text_length or LONGEST
    vocabulary, sizes = fit_vocabulary(examples.texts["train"], length)
    text = TextPreprocessing(
        reading=reading, label=examples.numbers.label, vocabulary=vocabulary, length=length
    )
    steps = examples.steps(text)
    return Data.of(
        examples.splits(steps),
        names=examples.names,
        source=examples.source,
        vocabulary=vocabulary.words,
        mean=text.label.mean,
        notes=(*examples.notes, length_note(sizes, length)),
        preprocessing=steps,
        settings=() if length == LONGEST else (f"text length {length}",),
    )
