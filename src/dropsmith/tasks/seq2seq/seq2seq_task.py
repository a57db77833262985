"""Tasks in which a text is written from another: translation and summarisation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import TaskError
from dropsmith.models import SEQ2SEQ_NOISES, SmallSeq2Seq, seq2seq_plan
from dropsmith.numbers import check_number, check_whole
from dropsmith.objectives import losses
from dropsmith.passes import logits_of
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.bounds import Bounds
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.part import Part
from dropsmith.tasks.data.repeats import DropRepeats, repeats_note, rows_to_keep, text_key
from dropsmith.tasks.data.selection import NO_LIMIT, PARTS, apply_limit, check_limit
from dropsmith.tasks.generation import GenerationScores, Scorer
from dropsmith.tasks.seq2seq.sequences import Sequences, pair_length_note
from dropsmith.tasks.seq2seq.subwords import Subwords, text_of
from dropsmith.tasks.task import Data, Task, device_of
from dropsmith.terms import Loss

Pair = tuple[str, tuple[str, ...]]
"""A text, and what may be written from it: the first is what is learnt."""

MAX_TEXT_TOKENS = 256
"""Tokens of a text, at most, where no length is set; what is longer loses its end."""

_SHORTEST = 3
"""Tokens of the shortest text: one between the marks of begin and end."""

_BATCH = 50
"""Texts that are written at a time."""


@dataclass(frozen=True, kw_only=True)
class TextPairs:
    """Pairs of texts before they are numbers.

    Args:
        parts: of train, validation and test.
        source: where they come from, in words for the report.
        notes: what was found, for `Data`.
    """

    parts: Mapping[str, Sequence[Pair]]
    source: str
    notes: tuple[tuple[str, str], ...] = ()


Reader = Callable[[Path | None, Bounds], TextPairs]
"""Takes the `data` of `Task.load`, and the task's bounds."""


def pairs_of(
    reader: Reader,
    data: Path | None,
    limit: int | None,
    bounds: Bounds,
    drop: DropRepeats | None = None,
) -> TextPairs:
    """The pairs of each part, as many as a limit leaves; `TaskError` for too high a one.

    Args:
        reader, data, bounds: as for `Seq2SeqTask`.
        limit: training pairs, and pairs of the other parts at most.
        drop: the side that pairs are left out of whose source stands in more than one part.
    """
    texts = reader(data, bounds)
    parts = {part: list(texts.parts[part]) for part in PARTS}
    keys = {part: [text_key(source) for source, _ in pairs] for part, pairs in parts.items()}
    left_out: dict[str, int] = {}
    if drop is not None:
        for part, rows in rows_to_keep(keys, drop, "text").items():
            left_out[part] = len(parts[part]) - len(rows)
            parts[part] = [parts[part][row] for row in rows]
            keys[part] = [keys[part][row] for row in rows]
    if limit is not None and limit != NO_LIMIT:
        apply_limit(torch.arange(len(parts["train"])), limit)
        parts = {part: pairs[:limit] for part, pairs in parts.items()}
        keys = {part: part_keys[:limit] for part, part_keys in keys.items()}
    notes = repeats_note(keys, "text", left_out=left_out, drop=drop)
    return TextPairs(parts=parts, source=texts.source, notes=notes)


@cached_by_files(2)
def _read(
    reader: Reader,
    words: int,
    data: Path | None,
    limit: int | None,
    bounds: Bounds,
    length: int,
    drop: DropRepeats | None,
) -> Data:
    pairs = pairs_of(reader, data, limit, bounds, drop)
    parts = pairs.parts
    subwords = Subwords.learn(
        (text for pair in parts["train"] for text in (pair[0], pair[1][0])), words
    )
    numbers = {part: _numbers(parts[part], subwords) for part in PARTS}
    sizes = [[len(text) + 1 for text in numbers["train"][0]]]
    sizes += [[len(text) + 2 for text in numbers["train"][1]]]
    return Data.of(
        [_part(parts[part], *numbers[part], length) for part in PARTS],
        names=subwords.tokens,
        source=pairs.source,
        vocabulary=subwords.tokens,
        notes=(*pairs.notes, pair_length_note(sizes, (length, length))),
        # Longer texts take a model with more positions, also where no text is that long.
        settings=() if length == MAX_TEXT_TOKENS else (f"text length {length}",),
    )


def _numbers(pairs: Sequence[Pair], subwords: Subwords) -> tuple[list[list[int]], list[list[int]]]:
    sources = subwords.numbers([source for source, _ in pairs])
    return sources, subwords.numbers([references[0] for _, references in pairs])


def _part(
    pairs: Sequence[Pair],
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    length: int,
) -> Sequences:
    return Sequences.of(
        [numbers[: length - 1] for numbers in sources],
        [numbers[: length - 2] for numbers in targets],
        [references for _, references in pairs],
    )


@dataclass(frozen=True, kw_only=True)
class Seq2SeqTask(Task):
    """Texts written from others, by `SmallSeq2Seq`.

    Judged by the likelihood of each token given the true ones before it, which validation chooses
    by, and on test by what beam search writes; a model without `write` by the first alone. Pieces
    of words are learnt from the training texts, source and target together.

    Args:
        name: what the task is called.
        read: makes its texts.
        scorer: judges what was written.
        budget: the budget that suits it; an example is a pair, and a batch counts tokens.
        limit: training pairs where no limit is given; None for all. A limit also cuts validation
            and test to as many pairs.
        words: how many pieces of words there are, at most.
        smoothing: the share of the target that training spreads over all words: of the task's
            loss alone, neither of what views should agree on nor of the likelihood reported.
        beams: how many texts beam search follows at a time.
        longest: how many tokens it writes, at most, and never more than twice its source and ten.

    Raises:
        TaskError: a number is of another type, or out of the range of what it means.
    """

    name: str
    read: Reader
    scorer: Scorer
    budget: Budget
    limit: int | None = None
    words: int = 3_000
    smoothing: float = 0.1
    beams: int = 5
    longest: int = 80
    noises: tuple[str, ...] = SEQ2SEQ_NOISES
    blocks: bool = True
    upper: str | None = "net.model.decoder.layers.1"
    option_names = ("text_length", "drop_repeats")

    def __post_init__(self) -> None:
        if self._length < _SHORTEST:
            raise TaskError(
                f"a text of {self._length} tokens has no room for a word beside its marks of begin "
                f"and end\n  give --text-length {_SHORTEST} or more"
            )
        check_limit(self.limit)
        for name in ("words", "beams", "longest"):
            check_whole(name, getattr(self, name), 1, TaskError)
        check_number("smoothing", self.smoothing, TaskError, most=1)

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        path = data.resolve() if data is not None else None
        check_limit(limit)
        limit_or_default = self.limit if limit is None else limit
        options, length = self.data_options, self._length
        return _read(
            self.read,
            self.words,
            path,
            limit_or_default,
            options.bounds,
            length,
            options.drop_repeats,
        )

    @property
    def _length(self) -> int:
        """The tokens that are kept of a text, marks of begin and end among them."""
        return self.data_options.text_length or MAX_TEXT_TOKENS

    def model(self, data: Data) -> nn.Module:
        self.scorer(["a"], [("a",)])  # a library that is missing is said before hours of training
        return SmallSeq2Seq(words=data.classes, longest=max(self._length, MAX_TEXT_TOKENS))

    def plan(self, noise: str, rate: float) -> Plan:
        return seq2seq_plan(noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return losses.tokens(logits_of(output), batch["labels"], label_smoothing=self.smoothing)

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        loss = losses.tokens(logits_of(output), batch["labels"])
        return {"nll": loss.mean.numbers}

    def score_generation(self, model: nn.Module, data: Data) -> GenerationScores:
        def text(numbers: Sequence[int]) -> str:
            return text_of(data.vocabulary, numbers)

        writing = {"beams": self.beams, "longest": self.longest}
        return beam_search_scores(model, data.test, self.scorer, text, writing)


def beam_search_scores(
    model: nn.Module,
    test: Part,
    scorer: Scorer,
    text: Callable[[Sequence[int]], str],
    writing: Mapping[str, Any],
) -> GenerationScores:
    """Scores of what a model writes for every source; nothing of one that has no `write`.

    Args:
        model: in eval mode.
        test: the pairs, as `Sequences`.
        scorer: judges what was written.
        text: turns the numbers of tokens into a text.
        writing: what `write` is told: `beams`, `longest` and perhaps more.
    """
    write: Callable[..., Tensor] | None = getattr(model, "write", None)
    assert isinstance(test, Sequences)
    if write is None:
        signature = f"nothing: {type(model).__name__} has no write(source, beams=, longest=)"
        return GenerationScores(signatures={"written": signature})
    device, texts = device_of(model), [""] * len(test)
    for rows in test.lengths.argsort(stable=True).split(_BATCH):
        source = test.rows(rows)["source"].to(device)
        longest = min(writing["longest"], 2 * source.shape[1] + 10)
        outputs = write(source, **{**writing, "longest": longest}).tolist()
        for row, numbers in zip(rows.tolist(), outputs, strict=True):
            texts[row] = text(numbers)
    return scorer(texts, test.references)
