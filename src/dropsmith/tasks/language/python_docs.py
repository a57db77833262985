"""Next words in the language reference that comes with the running Python: no download.

The text differs between Python versions, so results compare within one; `Data.source` names the
version and the text's hash.
"""

import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import DataError, TaskError
from dropsmith.models import LSTM_NOISES, SmallLSTM, lstm_plan
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.selection import apply_limit, check_limit
from dropsmith.tasks.data.vocabulary import UNKNOWN_WORD, Vocabulary, tokenise
from dropsmith.tasks.task import Data, Task
from dropsmith.terms import Loss

WINDOW = 35
END = "<end>"
"""Stands after every paragraph."""

_SHARES = (0.8, 0.1, 0.1)
_MIN_COUNT = 2
_ENOUGH = 1_000


def read_python_docs(data: Path | None = None, limit: int | None = None) -> Data:
    """Windows of 35 words, `tokens`, and the word after each of them, `labels`.

    Topics are read in the order of their names and cut into contiguous parts: 80 % training,
    10 % validation, 10 % test. The reference repeats itself across topics: a paragraph is kept
    where it stands first, so that none is in two parts. Words seen once in training are `<unk>`.

    Raises:
        TaskError: a folder was given, or there are fewer than `limit` training windows.
        DataError: this Python carries no such text.
    """
    if data is not None:
        raise TaskError(f"the task python-docs reads the running Python and not {data}")
    check_limit(limit)
    return _read(limit)


@lru_cache(maxsize=4)
def _read(limit: int | None) -> Data:
    topics = _topics()
    digest = hashlib.sha256("\n".join(topics).encode()).hexdigest()
    texts = _parts(_paragraphs(topics))
    vocabulary = Vocabulary.of([texts[0]], special=(UNKNOWN_WORD, END), min_count=_MIN_COUNT)
    train, validation, test = (_windows(vocabulary.ids(text)) for text in texts)
    train = train[apply_limit(torch.arange(len(train)), limit)]
    return Data.of(
        [Split({"tokens": w[:, :-1], "labels": w[:, 1:]}) for w in (train, validation, test)],
        names=vocabulary.words,
        source=f"pydoc_data.topics of Python {platform.python_version()}, sha256 {digest}",
        vocabulary=vocabulary.words,
    )


def _topics() -> list[str]:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError(
            f"Python {platform.python_version()} comes without pydoc_data.topics\n"
            "  install Python's standard library in full, or choose another task"
        ) from None
    return [topics[name] for name in sorted(topics)]


def _paragraphs(topics: Sequence[str]) -> list[list[str]]:
    """The words of every paragraph, in order, each paragraph once."""
    paragraphs = (tokenise(part) for topic in topics for part in topic.split("\n\n"))
    distinct = dict.fromkeys(tuple(words) for words in paragraphs if words)
    return [[*words, END] for words in distinct]


def _parts(paragraphs: Sequence[Sequence[str]]) -> list[list[str]]:
    """The words of each part; a paragraph belongs where its first word falls."""
    total = sum(map(len, paragraphs))
    parts: list[list[str]] = [[] for _ in _SHARES]
    position = 0
    for words in paragraphs:
        ends = [sum(_SHARES[: k + 1]) * total for k in range(len(_SHARES) - 1)]
        parts[sum(position >= end for end in ends)].extend(words)
        position += len(words)
    return parts


def _windows(ids: Sequence[int]) -> Tensor:
    """Rows of 36 neighbours, each beginning with the last of the row before."""
    return torch.tensor(ids, dtype=torch.long).unfold(0, WINDOW + 1, WINDOW).contiguous()


@dataclass(frozen=True, kw_only=True)
class PythonDocsTask(Task):
    """A word language model of the Python reference, judged by perplexity.

    Args:
        name: what the task is called.
        budget: the budget that suits it.
    """

    name: str
    budget: Budget
    noises: tuple[str, ...] = LSTM_NOISES
    perplexity: bool = True

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return read_python_docs(data, limit)

    def model(self, data: Data) -> nn.Module:
        return SmallLSTM(words=data.classes)

    def plan(self, noise: str, rate: float) -> Plan:
        return lstm_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.tokens(logits_of(output), batch["labels"])


PYTHON_DOCS = PythonDocsTask(
    name="python-docs",
    budget=Budget(epochs=20, batch_size=20, learning_rate=4e-3, weight_decay=0.01),
)
