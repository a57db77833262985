"""Tables of numbers and categories with a class or a value for each row, for `SmallMLP`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.errors import DataError
from dropsmith.models import MLP_NOISES, SmallMLP, mlp_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import OWN_TABLE, DataOptions
from dropsmith.tasks.data.selection import PARTS, check_limit
from dropsmith.tasks.data.table_layout import TableLayout, find_layout
from dropsmith.tasks.data.table_parts import file_states
from dropsmith.tasks.data.table_reading import TableReading
from dropsmith.tasks.numbers.features import fit_features
from dropsmith.tasks.numbers.preprocessing import NumbersPreprocessing
from dropsmith.tasks.task import Data, Kind, Task
from dropsmith.tasks.text.notes import columns_notes, missing_note
from dropsmith.tasks.text.own_rows import read_own_rows
from dropsmith.tasks.text.source import examples_of
from dropsmith.terms import Loss


@dataclass(frozen=True, kw_only=True)
class NumbersTask(Task):
    """A table of numbers and categories, one row an example.

    Args:
        name: what the task is called.
        budget: the budget that suits it.
        home: what is read where no `data` is given.
        kind: whether labels are classes or values.
    """

    name: str
    budget: Budget
    home: Path | None = None
    noises: tuple[str, ...] = MLP_NOISES
    kind: Kind = "classification"
    option_names = tuple(o for o in OWN_TABLE if o not in ("text_columns", "text_length"))

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        place = data if data is not None else self.home
        if place is None:
            raise DataError(
                f"the task {self.name} reads a table of numbers\n  give it: --data FILE"
            )
        check_limit(limit)
        layout = find_layout(place, self.data_options, "numbers")
        states = file_states(place, self.data_options)
        return _read(place.resolve(), layout, limit, self.data_options, states)

    def model(self, data: Data) -> nn.Module:
        features = data.train.rows(slice(0, 1)).values()
        width = next(iter(features)).shape[1]
        return SmallMLP(
            features=width, outputs=data.classes if self.kind == "classification" else 1
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return mlp_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        loss_of = losses.classification if self.kind == "classification" else losses.regression
        return loss_of(logits_of(output), batch["labels"])


@lru_cache(maxsize=4)
def _read(
    path: Path, layout: TableLayout, limit: int | None, options: DataOptions, states: object
) -> Data:
    rows = read_own_rows(path, layout, options)
    examples = examples_of(
        rows.parts,
        layout.kind,
        place=str(path),
        label=layout.label,
        reading=TableReading(
            columns=layout.columns,
            id_column=layout.id_column,
            delimiter=options.delimiter,
            encoding=options.encoding,
            decimal=layout.decimal,
        ),
        names={},
        limit=limit,
        texts=0,
        left_out=rows.left_out,
        drop=options.drop_repeats,
    )
    features = fit_features(layout, examples.texts["train"])
    preprocessing = NumbersPreprocessing(
        reading=examples.reading, label=examples.label, features=features
    )
    return Data.of(
        [preprocessing.split(examples.texts[part], examples.labels[part]) for part in PARTS],
        names=examples.names,
        source=f"numbers and labels ({path.name})",
        mean=examples.label.mean,
        notes=(
            *columns_notes(layout, {f.name: len(f.values) for f in features if f.values}),
            *rows.notes,
            *examples.notes,
            *missing_note([feature.name for feature in features if feature.blanks]),
        ),
        preprocessing=preprocessing,
    )


NUMBERS = NumbersTask(
    name="numbers",
    budget=Budget(epochs=40, batch_size=64, learning_rate=2e-3, weight_decay=0.01),
)
"""A user's own table of numbers and categories."""
