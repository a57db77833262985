"""Language models that look back on a window and carry nothing: small causal Transformers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import GPT_NOISES, SmallGPT, gpt_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.language.recurrent import WIKITEXT2
from dropsmith.tasks.language.source import LanguageSource, streams_in_windows
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss

WINDOW, LONGEST = 64, 256
"""Words that are read at a time, and the most that a budget may ask for instead."""

STREAMS = 16
"""Into how many texts validation and test are cut."""


@dataclass(frozen=True, kw_only=True)
class CausalTask(Task):
    """A Transformer's language model, judged by perplexity.

    Every window is read by itself: its first word is predicted from one word, its last from all of
    it, in training and in what is reported. Perplexities compare with those of one window length.

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
    noises: tuple[str, ...] = GPT_NOISES
    perplexity: bool = True
    blocks: bool = True
    upper: str | None = "net.transformer.h.1"

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        limit_or_default = self.limit if limit is None else limit
        streams = self.source.read(data, limit_or_default, self.data_options.bounds)
        return streams_in_windows(streams, window=WINDOW, streams=STREAMS)

    def model(self, data: Data) -> nn.Module:
        return SmallGPT(words=data.classes, window=LONGEST)

    def plan(self, noise: str, rate: float) -> Plan:
        return gpt_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.tokens(logits_of(output), batch["labels"])

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return {"nll": self.loss(output, batch).mean.numbers}


WIKITEXT103 = CausalTask(
    name="wikitext103",
    source=LanguageSource(
        name="wikitext103",
        about="WikiText-103, words (Merity et al., 2016)",
        folder="wikitext103",
        files=("wiki.{}.tokens", "{}.txt"),
        hub=("Salesforce/wikitext", "wikitext-103-v1", "text"),
    ),
    budget=Budget(epochs=10, batch_size=16, learning_rate=2e-3, weight_decay=0.01),
    limit=100_000,
)
"""The first 100,000 of its 103 million training tokens where no limit is given."""

WIKITEXT2_TRANSFORMER = CausalTask(
    name="wikitext2-transformer",
    source=WIKITEXT2.source,
    budget=Budget(epochs=10, batch_size=16, learning_rate=2e-3, weight_decay=0.01),
    limit=100_000,
)
"""The first 100,000 of the 2,088,628 training tokens where no limit is given."""
