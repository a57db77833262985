"""Real sentences as tensors: a tokeniser trained on them in a moment, and models of its size."""

import csv
import gzip
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

LENGTH, PADDING, START, END = 16, 0, 1, 2
VOCABULARY = 160
Batch = dict[str, Tensor]


def sentences(data: Path, count: int = 32) -> list[tuple[str, int]]:
    """Sentences of SST-2 and whether they praise, or a skip where they are not."""
    table = data / "nlu" / "sst2" / "dev.tsv.gz"
    if not table.is_file():
        pytest.skip(f"needs {table}")
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [(row["sentence"], int(row["label"])) for row in rows[:count]]


@cache
def tokenizer(data: Path) -> Any:
    """A byte-pair tokeniser for those sentences."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["<pad>", "<s>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, show_progress=False
    )
    made.train_from_iterator((text for text, _ in sentences(data, 400)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )


def rows(data: Path, kind: str, count: int = 32) -> list[dict[str, list[int] | int]]:
    """Examples of one length, padding at the end; labels as the kind of task has them."""
    found = []
    for text, label in sentences(data, count):
        words = tokenizer(data)(text, add_special_tokens=False)["input_ids"]
        ids = [*words[: LENGTH - 1], END]
        empty = LENGTH - len(ids)
        row = {"input_ids": ids + [PADDING] * empty, "attention_mask": [1] * len(ids) + [0] * empty}
        targets = ids + [-100] * empty
        found.append({**row, "labels": label if kind == "classification" else targets})
    return found


def batch(examples: list[dict[str, Any]]) -> Batch:
    """Examples as tensors."""
    return {name: torch.tensor([row[name] for row in examples]) for name in examples[0]}


def seeded(make: Any, config: Any) -> nn.Module:
    """A model with the same weights at every call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(config).train()


def bert(rate: float = 0.0) -> nn.Module:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=LENGTH,
        hidden_dropout_prob=rate,
        attention_probs_dropout_prob=rate,
    )
    return seeded(BertForSequenceClassification, config)


def gpt2(rate: float = 0.0) -> nn.Module:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=2 * LENGTH,
        n_embd=16,
        n_layer=2,
        n_head=2,
        resid_pdrop=rate,
        embd_pdrop=rate,
        attn_pdrop=rate,
        pad_token_id=PADDING,
        bos_token_id=START,
        eos_token_id=END,
    )
    return seeded(GPT2LMHeadModel, config)


def t5(rate: float = 0.0) -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCABULARY,
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_heads=2,
        dropout_rate=rate,
        pad_token_id=PADDING,
        eos_token_id=END,
        decoder_start_token_id=START,
    )
    return seeded(T5ForConditionalGeneration, config)


class Bag(nn.Module):
    """A module that is no Hugging Face model: its forward takes no labels and nothing unknown."""

    def __init__(self, config: None = None) -> None:
        super().__init__()
        self.embed, self.drop = nn.Embedding(VOCABULARY, 16), nn.Dropout(0.0)
        self.head = nn.Linear(16, VOCABULARY)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Scores of every word, from the word itself."""
        return self.head(self.drop(self.embed(input_ids)))


class Encoder(nn.Module):
    """Torch's own Transformer, which scores every word."""

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, rate, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, VOCABULARY)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Scores `[batch, time, words]`."""
        hidden = self.encoder(self.embed(input_ids), src_key_padding_mask=attention_mask == 0)
        return self.head(hidden)


def encoder(rate: float = 0.0) -> nn.Module:
    return seeded(Encoder, rate)


def bag() -> nn.Module:
    return seeded(Bag, None)
