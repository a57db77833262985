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
from dropsmith.tasks.data.data_options import TABLE, DataOptions
from dropsmith.tasks.data.selection import PARTS, check_limit
from dropsmith.tasks.data.table_layout import TableLayout, find_layout
from dropsmith.tasks.data.table_parts import file_states
from dropsmith.tasks.data.table_reading import TableReading
from dropsmith.tasks.numbers.features import Feature
from dropsmith.tasks.numbers.preprocessing import NumbersPreprocessing
from dropsmith.tasks.task import Data, Kind, Task
from dropsmith.tasks.text.label_checks import ClassSpellings, Place, value_of
from dropsmith.tasks.text.parts import partition_rows, read_parts, split_words
from dropsmith.tasks.text.source import Notes, examples_of, unlabelled_note
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
    option_names = (
        *(option for option in TABLE if option != "text_columns"),
        *("feature_columns", "kind"),
    )

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        place = data if data is not None else self.home
        if place is None:
            raise DataError(
                f"the task {self.name} reads a table of numbers\n  give it: --data FILE"
            )
        check_limit(limit)
        layout = find_layout(place, self.data_options, "numbers")
        return _read(place.resolve(), layout, limit, self.data_options, file_states(place))

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
    unlabelled: list[Place] = []
    parts = read_parts(
        path,
        (),
        layout.label,
        columns=layout.columns,
        options=options,
        check=ClassSpellings() if layout.kind == "classification" else value_of,
        unlabelled=unlabelled,
        blanks=True,
    )
    examples = examples_of(
        partition_rows(parts),
        layout.kind,
        place=str(path),
        label=layout.label,
        reading=TableReading(
            columns=layout.columns,
            id_column=layout.id_column,
            delimiter=options.delimiter,
            encoding=options.encoding,
        ),
        names={},
        limit=limit,
    )
    cells = zip(*examples.texts["train"], strict=True)
    features = tuple(map(Feature.fit, layout.columns, cells))
    preprocessing = NumbersPreprocessing(
        reading=examples.reading, label=examples.label, features=features
    )
    return Data.of(
        [preprocessing.split(examples.texts[part], examples.labels[part]) for part in PARTS],
        names=examples.names,
        source=f"numbers and labels ({path.name})",
        mean=examples.label.mean,
        notes=(
            ("columns", _columns_note(features, layout)),
            ("split", split_words(parts, "row")),
            *unlabelled_note(unlabelled),
            *_blanks_note(features),
        ),
        preprocessing=preprocessing,
    )


def _columns_note(features: tuple[Feature, ...], layout: TableLayout) -> str:
    numbers = [feature.name for feature in features if not feature.values]
    categories = [f"{f.name} ({len(f.values)} values)" for f in features if f.values]
    what = "classes" if layout.kind == "classification" else "numbers"
    parts = [
        f"numbers {_some(numbers)}" if numbers else "",
        f"categories {_some(categories)}" if categories else "",
        f"label {layout.label} ({what})",
        f"id {layout.id_column}" if layout.id_column is not None else "",
        f"not used {_some(list(layout.unused))}" if layout.unused else "",
    ]
    return "; ".join(filter(None, parts))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _blanks_note(features: tuple[Feature, ...]) -> Notes:
    names = [feature.name for feature in features if feature.blanks]
    if not names:
        return ()
    return (("missing", f"numbers in {_some(names)}: the mean stands for them, beside a mark"),)


NUMBERS = NumbersTask(
    name="numbers",
    budget=Budget(epochs=40, batch_size=64, learning_rate=2e-3, weight_decay=0.01),
)
"""A user's own table of numbers and categories."""
