"""Texts written by a pretrained model, as papers fine-tune it: `--model facebook/bart-large`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dropsmith.models import (
    WRITER_NOISES,
    PretrainedWriter,
    check_tokens,
    load_pretrained,
    pretrained_faults,
    transformers_library,
    writer_family,
    writer_plan,
)
from dropsmith.plans import Plan
from dropsmith.tasks.budget import Budget
from dropsmith.tasks.data.data_options import DataOptions
from dropsmith.tasks.data.file_cache import cached_by_files
from dropsmith.tasks.data.selection import PARTS, check_limit
from dropsmith.tasks.generation import GenerationScores
from dropsmith.tasks.learning_rates import Linear
from dropsmith.tasks.seq2seq.seq2seq_task import (
    Pair,
    Reader,
    Seq2SeqTask,
    beam_search_scores,
    pairs_of,
)
from dropsmith.tasks.seq2seq.sequences import Sequences, pad_rows, pair_length_note
from dropsmith.tasks.task import Data, Task
from dropsmith.tasks.text.token_preprocessing import kept_tokens, tokeniser_of
from dropsmith.terms import Loss

SOURCE, TARGET = 1_024, 256
"""Tokens of a text that is read and of one that is written, at most."""

WRITER_FINE_TUNING = Budget(
    epochs=5,
    batch_size=4_096,
    learning_rate=3e-5,
    weight_decay=0.01,
    warmup=0.025,
    clip=0.1,
    schedule=Linear(),
)
"""The budget by which R-Drop's code fine-tunes BART on news, in smaller batches."""


@dataclass(frozen=True, kw_only=True)
class PretrainedWriterTask(Task):
    """A task's pairs of texts and scores, with a pretrained model and its tokens.

    Args:
        task: whose data and scores.
        checkpoint: the model's name on the Hub, or a folder.
        family: what kind of model it is.
        name, budget, noises, blocks: as for any task.
        writing: what beam search is told beside its width and length.
    """

    task: Seq2SeqTask
    checkpoint: str
    family: str
    name: str
    budget: Budget = WRITER_FINE_TUNING
    noises: tuple[str, ...] = WRITER_NOISES
    blocks: bool = True
    writing: Mapping[str, Any] = field(default_factory=dict)

    def load(self, data: Path | None = None, limit: int | None = None) -> Data:
        path = data.resolve() if data is not None else None
        check_limit(limit)
        limit_or_default = self.task.limit if limit is None else limit
        options = self.data_options
        return _read(self.task.read, self.checkpoint, path, limit_or_default, options)

    def model(self, data: Data) -> nn.Module:
        self.task.scorer(["a"], [("a",)])  # a missing library is said before hours of training
        return PretrainedWriter(self.checkpoint)

    def plan(self, noise: str, rate: float) -> Plan:
        return writer_plan(self.family, noise, rate)

    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Loss:
        return self.task.loss(output, batch)

    def score(self, output: Any, batch: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
        return self.task.score(output, batch)

    def score_generation(self, model: nn.Module, data: Data) -> GenerationScores:
        tokeniser = tokeniser_of(self.checkpoint)

        def text(numbers: Sequence[int]) -> str:
            return str(tokeniser.decode(numbers, skip_special_tokens=True)).strip()

        writing = {"beams": self.task.beams, "longest": self.task.longest, **self.writing}
        return beam_search_scores(model, data.test, self.task.scorer, text, writing)


def with_pretrained_writer(task: Seq2SeqTask, checkpoint: str) -> PretrainedWriterTask:
    """The task with a pretrained model, and with the budget that papers fine-tune it by."""
    return PretrainedWriterTask(
        task=task,
        checkpoint=checkpoint,
        family=writer_family(checkpoint),
        name=task.name,
        data_options=task.data_options,
        writing=_WRITING.get(task.name, {}),
    )


# Those of R-Drop's code.
_WRITING: Mapping[str, Mapping[str, Any]] = {
    "cnn-dailymail": {
        "beams": 4,
        "longest": 140,
        "min_new_tokens": 55,
        "length_penalty": 2.0,
        "no_repeat_ngram_size": 3,
    }
}


@cached_by_files(2)
def _read(
    reader: Reader, checkpoint: str, data: Path | None, limit: int | None, options: DataOptions
) -> Data:
    pairs = pairs_of(reader, data, limit, options.bounds, options.drop_repeats)
    tokeniser = tokeniser_of(checkpoint)
    most = tuple(kept_tokens(checkpoint, options.text_length, usual) for usual in (SOURCE, TARGET))
    with pretrained_faults(checkpoint):
        first, pad = _first_token(checkpoint), int(tokeniser.pad_token_id)
        names = tuple(map(str, tokeniser.convert_ids_to_tokens(range(len(tokeniser)))))
        parts = [_part(tokeniser, pairs.parts[part], first, pad, most) for part in PARTS]
        sizes = [
            [len(tokens) for tokens in rows]
            for rows in _tokens(tokeniser, pairs.parts["train"], [length + 1 for length in most])
        ]
    check_tokens(checkpoint, max(int(part.source.max()) for part in parts))
    return Data.of(
        parts,
        names=names,
        source=f"{pairs.source}, in tokens of {checkpoint}",
        notes=(*pairs.notes, pair_length_note(sizes, most)),
    )


def _first_token(checkpoint: str) -> int:
    """The first token of the model's decoder."""
    config = load_pretrained(
        checkpoint, transformers_library(checkpoint).AutoConfig.from_pretrained
    )
    return int(config.decoder_start_token_id)


def _tokens(
    tokeniser: Any, pairs: Sequence[Pair], most: Sequence[int]
) -> tuple[list[list[int]], list[list[int]]]:
    """The tokens of the sources and of the targets, of each text so many at most."""
    sources = tokeniser([source for source, _ in pairs], truncation=True, max_length=most[0])
    targets = tokeniser(
        text_target=[references[0] for _, references in pairs], truncation=True, max_length=most[1]
    )
    return sources["input_ids"], targets["input_ids"]


def _part(
    tokeniser: Any, pairs: Sequence[Pair], first: int, pad: int, most: Sequence[int]
) -> Sequences:
    sources, targets = _tokens(tokeniser, pairs, most)
    return Sequences(
        pad_rows(sources, pad),
        pad_rows([[first, *numbers] for numbers in targets], pad),
        tuple(references for _, references in pairs),
        pad,
    )
