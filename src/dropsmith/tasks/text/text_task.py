"""Sentences and pairs of sentences with a label each, for a small Transformer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import TRANSFORMER_NOISES, SmallTransformer, transformer_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import TABLE
from dropsmith.tasks.meters import Meter, create_meters
from dropsmith.tasks.task import Data, Kind, Task
from dropsmith.tasks.text.preprocessing import TextPreprocessing
from dropsmith.tasks.text.source import LONGEST, TextSource
from dropsmith.terms import Loss


@dataclass(frozen=True, kw_only=True)
class TextTask(Task):
    """Sentences or pairs of them with one label each, for `SmallTransformer`.

    Args:
        name: what the task is called.
        source: where its sentences come from.
        budget: the budget that suits it.
        metrics: what it is judged by beside the usual scores: names of `tasks.meters`.
        home: what is read where no `data` is given.
        kind: that of the source.
    """

    name: str
    source: TextSource
    budget: Budget
    metrics: tuple[str, ...] = ()
    home: Path | None = None
    noises: tuple[str, ...] = TRANSFORMER_NOISES
    blocks: bool = True
    upper: str | None = "layers.1"
    kind: Kind = "classification"
    option_names = (*TABLE, "text_length")

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        place = data if data is not None else self.home
        return self.source.read(place, limit, self.data_options)

    def model(self, data: Data) -> nn.Module:
        steps = data.preprocessing
        is_fitted = isinstance(steps, TextPreprocessing)
        return SmallTransformer(
            words=len(data.vocabulary),
            classes=data.classes if self.kind == "classification" else 1,
            length=steps.length if is_fitted else LONGEST,
            pairs=steps.is_paired if is_fitted else self.source.is_paired,
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return transformer_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        loss_of = losses.classification if self.kind == "classification" else losses.regression
        return loss_of(logits_of(output), batch["labels"])

    def meters(self) -> dict[str, Meter]:
        return create_meters(self.metrics)
