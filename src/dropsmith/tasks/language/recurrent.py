"""Recurrent language models of running text: the Penn Treebank and WikiText-2."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import LSTM_NOISES, SmallLSTM, lstm_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of, state_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.language.source import LanguageSource
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss

WIDTH = 200


@dataclass(frozen=True, kw_only=True)
class LanguageTask(Task):
    """A language model that reads a text from end to end, judged by perplexity.

    Training reads as many contiguous texts side by side as a batch has rows; each window starts
    from the state in which the one before ended, and an epoch from zeros. Perplexity is that of
    all predicted tokens, `<eos>` among them; validation is read in ten texts, test in one.

    Args:
        name: what the task is called.
        source: where its text comes from.
        budget: the budget that suits it; an example is one predicted token.
    """

    name: str
    source: LanguageSource
    budget: Budget
    noises: tuple[str, ...] = LSTM_NOISES
    paired_noise: str = "awd"
    perplexity: bool = True

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return self.source.read(data, limit, self.data_options.bounds)

    def model(self, data: Data) -> nn.Module:
        return SmallLSTM(words=data.classes, width=WIDTH, tied=False)

    def plan(self, noise: str, rate: float) -> Plan:
        return lstm_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.tokens(logits_of(output), batch["labels"])

    def carry(self, output: Any) -> Mapping[str, Any]:
        state = state_of(output)
        return {} if state is None else {"state": state}

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return {"nll": self.loss(output, batch).mean.numbers}


PENN_TREEBANK = LanguageTask(
    name="penn-treebank",
    source=LanguageSource(
        name="penn-treebank",
        about="Penn Treebank, words (Marcus et al., 1993; prepared by Mikolov et al., 2010)",
        folder="penn_treebank",
        files=("ptb.{}.txt", "{}.txt"),
        hub=("ptb-text-only/ptb_text_only", "penn_treebank", "sentence"),
    ),
    budget=Budget(epochs=20, batch_size=20, learning_rate=4e-3, weight_decay=0.01),
)


WIKITEXT2 = LanguageTask(
    name="wikitext2",
    source=LanguageSource(
        name="wikitext2",
        about="WikiText-2, words (Merity et al., 2016)",
        folder="wikitext2",
        files=("wiki.{}.tokens", "{}.txt"),
        hub=("Salesforce/wikitext", "wikitext-2-v1", "text"),
    ),
    budget=Budget(epochs=20, batch_size=20, learning_rate=4e-3, weight_decay=0.01),
)
