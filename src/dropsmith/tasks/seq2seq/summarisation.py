"""Summarisation: chats, abstracts of papers, and articles of the news."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.data.sources import load_from_hub, subfolder
from dropsmith.tasks.data.tables import table_rows
from dropsmith.tasks.generation import rouge
from dropsmith.tasks.seq2seq.seq2seq_task import Pair, Seq2SeqTask, TextPairs

Located = tuple[str, Any]
"""The place of a row in words, and its fields."""


def read_samsum(data: Path | None, bounds: Bounds = USUAL) -> TextPairs:
    """Chats and summaries (Gliwa et al., 2019): 14,732, 818 and 819, less those that are empty.

    Raises:
        DataError: the folder does not hold them, or none is given.
    """
    if data is None:
        raise DataError("the task samsum reads a folder\n  give it: --data DIR")
    folder = subfolder(data, "samsum")
    parts = {
        part: _pairs(_rows(folder / f"{part}.jsonl", bounds), "dialogue", "summary")
        for part in PARTS
    }
    return TextPairs(parts=parts, source=f"SAMSum chats (Gliwa et al., 2019) ({data.name})")


def read_scitldr(data: Path | None, bounds: Bounds = USUAL) -> TextPairs:
    """Abstracts of papers and one sentence each (SciTLDR-A; Cachola et al., 2020).

    Held-out abstracts have several summaries: the likelihood is of the first, ROUGE of the best.

    Raises:
        DataError: the folder does not hold them, or the Hub cannot be reached.
    """
    about = "SciTLDR, abstracts of papers (Cachola et al., 2020)"
    if data is None:
        splits = load_from_hub("allenai/scitldr", "Abstract", "scitldr")
        rows = {part: _hub_rows(part, splits[part]) for part in PARTS}
        return TextPairs(parts=_pairs_of_parts(rows, "source", "target"), source=about)
    folder = subfolder(data, "scitldr")
    names = {"train": "train", "validation": "dev", "test": "test"}
    rows = {part: _rows(folder / f"{name}.jsonl", bounds) for part, name in names.items()}
    return TextPairs(
        parts=_pairs_of_parts(rows, "source", "target"), source=f"{about} ({data.name})"
    )


def read_cnn_dailymail(data: Path | None, bounds: Bounds = USUAL) -> TextPairs:
    """Articles and their highlights (Hermann et al., 2015; See et al., 2017), from the Hub alone.

    Raises:
        DataError: a folder was given, or the Hub cannot be reached.
    """
    if data is not None:
        raise DataError(f"the task cnn-dailymail reads the Hub and not {data}\n  leave --data out")
    splits = load_from_hub("abisee/cnn_dailymail", "3.0.0", "cnn-dailymail", "samsum and scitldr")
    rows = {part: _hub_rows(part, splits[part]) for part in PARTS}
    parts = _pairs_of_parts(rows, "article", "highlights")
    return TextPairs(parts=parts, source="CNN/DailyMail articles (See et al., 2017)")


def _hub_rows(part: str, rows: Iterable[Any]) -> Iterable[Located]:
    return ((f"row {number} of {part} on the Hub", row) for number, row in enumerate(rows))


def _pairs_of_parts(
    rows: dict[str, Iterable[Located]], source: str, target: str
) -> dict[str, list[Pair]]:
    return {part: _pairs(part_rows, source, target) for part, part_rows in rows.items()}


def _pairs(rows: Iterable[Located], source: str, target: str) -> list[Pair]:
    """Texts and summaries, without the pairs in which one is empty."""
    pairs = [
        (" ".join(_texts(row, source, place)), _texts(row, target, place)) for place, row in rows
    ]
    return [(text, summaries) for text, summaries in pairs if text and summaries]


def _texts(row: Any, name: str, place: str) -> tuple[str, ...]:
    """One text or several, with single spaces."""
    if name not in row or row[name] is None:
        raise DataError(f"{place} has no {name!r}")
    values = [row[name]] if isinstance(row[name], str) else row[name]
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise DataError(f"{place}: {name!r} is neither a text nor a list of texts")
    texts = (" ".join(text.split()) for text in values)
    return tuple(text for text in texts if text)


def _rows(path: Path, bounds: Bounds) -> Iterable[Located]:
    candidates = (path.with_name(f"{path.name}.gz"), path)
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise DataError(f"no file {path.name} in {path.parent}\n  looked for: {path.name}, .gz")
    return ((f"line {line} of {file}", row) for line, row in table_rows(file, bounds))


_BUDGET = Budget(epochs=8, batch_size=4_096, learning_rate=2e-3, weight_decay=0.01)

SAMSUM = Seq2SeqTask(name="samsum", read=read_samsum, scorer=rouge, budget=_BUDGET, limit=4_000)
"""The first 4,000 of the 14,731 chats where no limit is given."""

SCITLDR = Seq2SeqTask(name="scitldr", read=read_scitldr, scorer=rouge, budget=_BUDGET)
CNN_DAILYMAIL = Seq2SeqTask(
    name="cnn-dailymail", read=read_cnn_dailymail, scorer=rouge, budget=_BUDGET, limit=4_000
)
