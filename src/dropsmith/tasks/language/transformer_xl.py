"""Language models that read a text segment by segment and remember: small Transformer-XLs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import XL_NOISES, TransformerXL, xl_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of, state_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.language.recurrent import PENN_TREEBANK, WIKITEXT2
from dropsmith.tasks.language.source import LanguageSource, streams_in_windows
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss

SEGMENT, MEMORY = 32, 32
"""Words that are read at a time, and words before them that every layer attends to."""

VALIDATION_STREAMS = 10


@dataclass(frozen=True, kw_only=True)
class SegmentTask(Task):
    """A Transformer-XL's language model, judged by perplexity.

    A text is read as `LanguageTask` reads it, from end to end, and what is carried from segment to
    segment is the model's memory. Validation is read in ten texts, test in one; the reach of the
    memory decides what a perplexity compares with.

    Args:
        name: what the task is called.
        source: where its text comes from.
        budget: the budget that suits it; an example is one predicted token.
        limit: training tokens where no limit is given; None for all.
    """

    name: str
    source: LanguageSource
    budget: Budget
    limit: int | None = None
    noises: tuple[str, ...] = XL_NOISES
    perplexity: bool = True
    blocks: bool = True

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        limit_or_default = self.limit if limit is None else limit
        streams = self.source.read(data, limit_or_default, self.data_options.bounds)
        return streams_in_windows(streams, window=SEGMENT)

    def model(self, data: Data) -> nn.Module:
        return TransformerXL(
            words=data.classes,
            width=128,
            heads=4,
            layers=3,
            feed=256,
            memory=MEMORY,
            norm_first=True,
        )

    def plan(self, noise: str, rate: float) -> Plan:
        return xl_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.tokens(logits_of(output), batch["labels"])

    def carry(self, output: Any) -> Mapping[str, Any]:
        state = state_of(output)
        return {} if state is None else {"state": state}

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return {"nll": self.loss(output, batch).mean.numbers}


PENN_TREEBANK_XL = SegmentTask(
    name="penn-treebank-xl",
    source=PENN_TREEBANK.source,
    budget=Budget(epochs=10, batch_size=16, learning_rate=2e-3, weight_decay=0.01),
    limit=100_000,
)
"""The first 100,000 of the 929,589 training tokens where no limit is given."""


WIKITEXT2_XL = SegmentTask(
    name="wikitext2-xl",
    source=WIKITEXT2.source,
    budget=Budget(epochs=10, batch_size=16, learning_rate=2e-3, weight_decay=0.01),
    limit=100_000,
)
"""The first 100,000 of the 2,088,628 training tokens where no limit is given."""
