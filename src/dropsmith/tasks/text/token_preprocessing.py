"""The steps from the rows of a table to the tokens of a pretrained model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, Self

import torch
from annotated_types import Ge, Le
from torch import Tensor

from dropsmith.errors import TaskError
from dropsmith.files import check, whole_file
from dropsmith.models import load_pretrained, pretrained_faults, transformers_library
from dropsmith.tasks.data.part import Split
from dropsmith.tasks.data.table_preprocessing import StoredTablePreprocessing, table_fields
from dropsmith.tasks.text.preprocessing import TextTablePreprocessing

TOKENISER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "dict.txt", "chat_template.jinja"),
    *("spiece.model", "tokenizer.model", "sentencepiece.model", "sentencepiece.bpe.model"),
    *("spm.model", "spm_char.model", "source.spm", "target.spm", "prophetnet.tokenizer"),
    *("vocab-src.json", "vocab-tgt.json", "target_vocab.json", "entity_vocab.json"),
    *("byte_maps.json", "emoji.json", "normalizer.json"),
    *("word_shape.json", "word_pronunciation.json"),
)
"""The names that tokenisers of transformers give to their files."""

_NO_MAXIMUM = 1_000_000
"""Tokenisers without a maximum of their own say a number above this."""

_OFFSET_POSITIONS = ("roberta", "camembert", "mpnet", "longformer", "data2vec", "xmod", "ibert")
"""Kinds of models whose positions begin after that of padding."""


class StoredTokenPreprocessing(StoredTablePreprocessing):
    """Preprocessing by a tokeniser in JSON; its files lie in the same folder."""

    kind: Literal["tokens"]
    length: Annotated[int, Ge(1), Le(1_000_000)]


@dataclass(frozen=True, kw_only=True)
class TokenPreprocessing(TextTablePreprocessing):
    """Texts by the tokens of a pretrained model, the first `length` of each text or pair.

    Args:
        reading: the columns of texts, and how a table is read.
        label: the column of labels.
        checkpoint: the model's name on the Hub, or a folder with the files of its tokeniser.
        length: tokens kept of a text or a pair.
    """

    kind = "tokens"

    checkpoint: str
    length: int

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"length": self.length}

    @classmethod
    def from_json(cls, values: Any, folder: Path) -> Self:
        stored = check(values, StoredTokenPreprocessing)
        return cls(
            **table_fields(stored),
            checkpoint=str(folder),
            length=stored["length"],
        )

    def save_files(self, folder: Path) -> None:
        """Write the tokeniser's files, each whole or not at all."""
        with TemporaryDirectory() as place:
            tokeniser_of(self.checkpoint).save_pretrained(place)
            for file in sorted(path for path in Path(place).iterdir() if path.is_file()):
                with whole_file(folder / file.name) as partial:
                    copyfile(file, partial)

    def split(self, texts: Sequence[tuple[str, ...]], labels: Tensor | None = None) -> Split:
        """The columns of the tokeniser, and of labels where there are some."""
        sentences = [list(column) for column in zip(*texts, strict=True)]
        with pretrained_faults(self.checkpoint):
            encoding = tokeniser_of(self.checkpoint)(
                *sentences,
                truncation=True,
                max_length=self.length,
                padding=True,
                return_tensors="pt",
            )
        real = encoding["attention_mask"].bool()
        # Zeros where nothing is attended to, whatever the padding token: a batch then keeps no more
        # columns than it needs.
        columns = {name: torch.where(real, column, 0) for name, column in encoding.items()}
        labelled = columns if labels is None else columns | {"labels": labels}
        return Split(
            labelled, padded_columns=tuple(columns), unit=self.label.unit, equal_widths=True
        )

    def sizes(self, texts: Sequence[tuple[str, ...]]) -> list[int]:
        """The number of tokens of each text or pair, up to one more than are kept."""
        sentences = [list(column) for column in zip(*texts, strict=True)]
        with pretrained_faults(self.checkpoint):
            encoding = tokeniser_of(self.checkpoint)(
                *sentences, truncation=True, max_length=self.length + 1
            )
        return [len(tokens) for tokens in encoding["input_ids"]]


@lru_cache(maxsize=4)
def tokeniser_of(checkpoint: str) -> Any:
    """The tokeniser of a pretrained model, read once per process.

    Raises:
        TaskError: it cannot be fetched or read.
        MissingExtra: transformers is not installed.
    """
    library_class = transformers_library(checkpoint).AutoTokenizer
    return load_pretrained(checkpoint, library_class.from_pretrained)


@lru_cache(maxsize=4)
def longest_text(checkpoint: str) -> int | None:
    """The most tokens of a text that a pretrained model takes; None where it has no maximum.

    It is the tokeniser's own maximum, or the number of the model's positions where that is less.

    Raises:
        TaskError: the files of the model cannot be fetched or read.
        MissingExtra: transformers is not installed.
    """
    library_class = transformers_library(checkpoint).AutoConfig
    config = load_pretrained(checkpoint, library_class.from_pretrained)
    maxima = [getattr(tokeniser_of(checkpoint), "model_max_length", None)]
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        kind, pad = str(getattr(config, "model_type", "")), getattr(config, "pad_token_id", None)
        begins_late = any(word in kind for word in _OFFSET_POSITIONS)
        offset = pad + 1 if begins_late and isinstance(pad, int) else 0
        maxima.append(positions - offset)
    known = [m for m in maxima if isinstance(m, int) and 0 < m <= _NO_MAXIMUM]
    return min(known, default=None)


def kept_tokens(checkpoint: str, wanted: int | None, usual: int) -> int:
    """The tokens that are kept of a text, never more than a pretrained model takes.

    Args:
        checkpoint: the model.
        wanted: the number that is set; None for the usual one.
        usual: the number where none is set.

    Raises:
        TaskError: more are wanted than the model takes.
    """
    most = longest_text(checkpoint)
    if wanted is None:
        return usual if most is None else min(usual, most)
    if most is not None and wanted > most:
        raise TaskError(
            f"{checkpoint} takes texts of up to {most:,} tokens, and {wanted:,} are to be kept\n"
            f"  give --text-length {most} or fewer"
        )
    return wanted
