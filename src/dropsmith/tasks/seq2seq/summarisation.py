"""Summarisation: chats, abstracts of papers, and articles of the news."""

import json
from pathlib import Path
from typing import Any

from dropsmith.errors import DataError
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import USUAL, Bounds
from dropsmith.tasks.data.selection import PARTS
from dropsmith.tasks.data.sources import load_from_hub, subfolder
from dropsmith.tasks.data.text_files import read_text
from dropsmith.tasks.generation import rouge
from dropsmith.tasks.seq2seq.seq2seq_task import Pair, Seq2SeqTask, TextPairs


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
        rows = {part: list(splits[part]) for part in PARTS}
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
    rows = {part: list(splits[part]) for part in PARTS}
    parts = _pairs_of_parts(rows, "article", "highlights")
    return TextPairs(parts=parts, source="CNN/DailyMail articles (See et al., 2017)")


def _pairs_of_parts(rows: dict[str, list[Any]], source: str, target: str) -> dict[str, list[Pair]]:
    return {part: _pairs(part_rows, source, target) for part, part_rows in rows.items()}


def _pairs(rows: list[Any], source: str, target: str) -> list[Pair]:
    """Texts and summaries, without the pairs in which one is empty."""
    pairs = [(" ".join(_texts(row[source])), _texts(row[target])) for row in rows]
    return [(text, summaries) for text, summaries in pairs if text and summaries]


def _texts(value: Any) -> tuple[str, ...]:
    """One text or several, with single spaces."""
    texts = (" ".join(text.split()) for text in ([value] if isinstance(value, str) else value))
    return tuple(text for text in texts if text)


def _rows(path: Path, bounds: Bounds) -> list[Any]:
    candidates = (path.with_name(f"{path.name}.gz"), path)
    file = next((candidate for candidate in candidates if candidate.is_file()), None)
    if file is None:
        raise DataError(f"no file {path.name} in {path.parent}\n  looked for: {path.name}, .gz")
    text = read_text(file, bounds)
    try:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise DataError(f"cannot read {file}\n  {error}") from None


_BUDGET = Budget(epochs=8, batch_size=4_096, learning_rate=2e-3, weight_decay=0.01)

SAMSUM = Seq2SeqTask(name="samsum", read=read_samsum, scorer=rouge, budget=_BUDGET, limit=4_000)
"""The first 4,000 of the 14,731 chats where no limit is given."""

SCITLDR = Seq2SeqTask(name="scitldr", read=read_scitldr, scorer=rouge, budget=_BUDGET)
CNN_DAILYMAIL = Seq2SeqTask(
    name="cnn-dailymail", read=read_cnn_dailymail, scorer=rouge, budget=_BUDGET, limit=4_000
)
