"""Running text from a folder or the Hub, as streams of word numbers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dropsmith.errors import DataError, TaskError
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.selection import NO_LIMIT, PARTS, check_limit
from dropsmith.tasks.data.sources import load_from_hub, subfolder
from dropsmith.tasks.data.text_files import read_text
from dropsmith.tasks.data.vocabulary import UNKNOWN_WORD, Vocabulary
from dropsmith.tasks.language.stream import Stream
from dropsmith.tasks.task import Data

END = "<eos>"
"""Stands after every line, and is a word like any other."""

HELD_OUT_DIVISOR = 5
"""Under a limit of N training tokens, validation and test are their first N / this."""


_VALIDATION_STREAMS = 10


@dataclass(frozen=True, kw_only=True)
class LanguageSource:
    """A source of running text: a folder, or a data set on the Hub.

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

    def read(self, data: Path | None, limit: int | None, bounds: Bounds = USUAL) -> Data:
        """Streams of word numbers; every word of the training text that is read has one.

        Under a limit other words are `<unk>`: none could be learnt.
        """
        check_limit(limit)
        return _read(self, data.resolve() if data is not None else None, limit, bounds)

    def lines(self, data: Path | None, bounds: Bounds = USUAL) -> dict[str, list[str]]:
        """The lines of each part, from a folder or the Hub."""
        if data is None:
            address, config, column = self.hub
            splits = load_from_hub(address, config, self.name)
            return {part: list(splits[part][column]) for part in PARTS}
        folder = subfolder(data, self.folder)
        return {part: self._file(folder, part, bounds) for part in PARTS}

    def _file(self, folder: Path, part: str, bounds: Bounds) -> list[str]:
        short = "valid" if part == "validation" else part
        names = [file_name.format(short) for file_name in self.files]
        for file_name in names:
            for path in (folder / file_name, folder / f"{file_name}.gz"):
                if path.is_file():
                    return _lines(path, bounds)
        raise DataError(
            f"no {part} text of {self.name} in {folder}\n"
            f"  looked for: {', '.join(names)}, perhaps .gz"
        )


def _lines(path: Path, bounds: Bounds) -> list[str]:
    # Only line feeds end a line: the texts hold other characters that `splitlines` would cut at.
    return read_text(path, bounds).removesuffix("\n").split("\n")


def _words(lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield from line.split()
        yield END


def streams_in_windows(data: Data, **reading: int) -> Data:
    """The same texts read in windows that a budget may lengthen, whose settings are `Stream`'s."""
    parts = {part: replace(getattr(data, part), limited_context=True, **reading) for part in PARTS}
    return replace(data, **parts)


@cached_by_files(4)
def _read(source: LanguageSource, data: Path | None, limit: int | None, bounds: Bounds) -> Data:
    words = {part: list(_words(lines)) for part, lines in source.lines(data, bounds).items()}
    tokens = {part: words[part][: _token_limit(part, len(words["train"]), limit)] for part in PARTS}
    vocabulary = Vocabulary.of([tokens["train"]], special=(UNKNOWN_WORD, END))
    ids = {part: torch.tensor(vocabulary.ids(tokens[part]), dtype=torch.long) for part in PARTS}
    return Data.of(
        [
            Stream(ids["train"]),
            Stream(ids["validation"], streams=_VALIDATION_STREAMS),
            Stream(ids["test"]),
        ],
        names=vocabulary.words,
        source=source.about if data is None else f"{source.about} ({data.name})",
        vocabulary=vocabulary.words,
    )


def _token_limit(part: str, tokens: int, limit: int | None) -> int | None:
    """The number of tokens of a part that a limit leaves."""
    if limit is None or limit == NO_LIMIT:
        return None
    if not 2 * HELD_OUT_DIVISOR <= limit <= tokens:
        raise TaskError(
            f"limit={limit}, but there are {tokens:,} training tokens\n"
            f"  a limit counts tokens, {2 * HELD_OUT_DIVISOR} at least; validation and test are "
            "then a fifth as long"
        )
    return limit if part == "train" else limit // HELD_OUT_DIVISOR
