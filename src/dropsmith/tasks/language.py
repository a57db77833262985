"""Word language models of running text: every token is predicted from all that stand before it."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import DataError, TaskError
from dropsmith.models import SmallLSTM, lstm_plan
from dropsmith.models.small_lstm import LSTM_NOISES
from dropsmith.objectives.losses import tokens
from dropsmith.passes import logits_of, state_of
from dropsmith.plans import Plan
from dropsmith.tasks._budget import Budget
from dropsmith.tasks._hub import from_hub
from dropsmith.tasks._split import EVERY, PARTS
from dropsmith.tasks._task import Data, Task
from dropsmith.tasks.stream import Stream
from dropsmith.tasks.words import UNKNOWN, Vocabulary
from dropsmith.terms import Loss

END = "<eos>"
"""Stands after every line, and is a word like any other."""

HELD_OUT = 5
"""Under a limit of N training tokens, validation and test are their first N / `HELD_OUT`."""

WIDTH = 200
_VALIDATION_STREAMS = 10


@dataclass(frozen=True, kw_only=True)
class LanguageSource:
    """Where running text comes from.

    Args:
        name: the task's.
        about: what it is, in words for the report.
        folder: what its folder may be called inside a folder of several sets.
        files: what a part's file is called, with `{}` for train, valid or test.
        hub: address, configuration and text column on the Hub.
    """

    name: str
    about: str
    folder: str
    files: tuple[str, ...]
    hub: tuple[str, str | None, str]

    def read(self, data: Path | None, limit: int | None) -> Data:
        """Streams of word numbers; every word of the training text that is read has one.

        Under a limit other words are `<unk>`: none could be learnt.
        """
        return _read(self, data.resolve() if data is not None else None, limit)

    def lines(self, data: Path | None) -> dict[str, list[str]]:
        """The lines of each part, from a folder or the Hub."""
        if data is None:
            address, config, column = self.hub
            loaded = from_hub(address, config, self.name)
            return {part: list(loaded[part][column]) for part in PARTS}
        inside = data / self.folder
        folder = inside if inside.is_dir() else data
        return {part: self._file(folder, part) for part in PARTS}

    def _file(self, folder: Path, part: str) -> list[str]:
        short = "valid" if part == "validation" else part
        wanted = [name.format(short) for name in self.files]
        for name in wanted:
            for path in (folder / name, folder / f"{name}.gz"):
                if path.is_file():
                    return _lines(path)
        raise DataError(
            f"no {part} text of {self.name} in {folder}\n"
            f"  looked for: {', '.join(wanted)}, perhaps .gz"
        )


def _lines(path: Path) -> list[str]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}\n  {error}") from None
    # Only line feeds end a line: the texts hold other characters that `splitlines` would cut at.
    return text.removesuffix("\n").split("\n")


def _words(lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield from line.split()
        yield END


def in_windows(data: Data, **reading: int) -> Data:
    """The same texts read in windows that a budget may lengthen, whose settings are `Stream`'s."""
    parts = {part: replace(getattr(data, part), bounded=True, **reading) for part in PARTS}
    return replace(data, **parts)


@lru_cache(maxsize=4)
def _read(source: LanguageSource, data: Path | None, limit: int | None) -> Data:
    words = {part: list(_words(lines)) for part, lines in source.lines(data).items()}
    kept = {part: words[part][: _most(part, len(words["train"]), limit)] for part in PARTS}
    known = Vocabulary.of([kept["train"]], special=(UNKNOWN, END))
    ids = {part: torch.tensor(known.ids(kept[part]), dtype=torch.long) for part in PARTS}
    return Data.of(
        [
            Stream(ids["train"]),
            Stream(ids["validation"], streams=_VALIDATION_STREAMS),
            Stream(ids["test"]),
        ],
        names=known.words,
        source=source.about if data is None else f"{source.about} ({data.name})",
        vocabulary=known.words,
    )


def _most(part: str, tokens: int, limit: int | None) -> int | None:
    """How many tokens of a part a limit leaves."""
    if limit is None or limit == EVERY:
        return None
    if not 2 * HELD_OUT <= limit <= tokens:
        raise TaskError(
            f"limit={limit}, but there are {tokens:,} training tokens\n"
            f"  a limit counts tokens, {2 * HELD_OUT} at least; validation and test are then a "
            "fifth as long"
        )
    return limit if part == "train" else limit // HELD_OUT


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
    paired: str = "awd"
    perplexity: bool = True

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        return self.source.read(data, limit)

    def model(self, data: Data) -> nn.Module:
        return SmallLSTM(words=data.classes, width=WIDTH, tied=False)

    def plan(self, noise: str, rate: float) -> Plan:
        return lstm_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return tokens(logits_of(output), batch["labels"])

    def carry(self, output: Any) -> Mapping[str, Any]:
        state = state_of(output)
        return {} if state is None else {"state": state}

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return {"nll": self.loss(output, batch).mean.numbers}
