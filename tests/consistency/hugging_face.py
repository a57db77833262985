"""Tiny Hugging Face models, made from their configuration, and batches for them."""

from typing import Any

import torch
from torch import Tensor, nn

from consistency.tiny import integers, seeded

VOCABULARY = 30
Batch = dict[str, Tensor]


def seed_and_make(name: str, config: Any) -> nn.Module:
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return getattr(transformers, name)(config).train()


def bert(head: str, dropout: float = 0.0, layers: int = 2, **more: Any) -> nn.Module:
    from transformers import BertConfig

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **more,
    )
    return seed_and_make(f"Bert{head}", config)


def gpt2(dropout: float = 0.0) -> nn.Module:
    from transformers import GPT2Config

    rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), VOCABULARY - 1)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=16, n_embd=16, n_layer=2, n_head=2, **rates, **ends
    )
    return seed_and_make("GPT2LMHeadModel", config)


def words(rows: int = 4, length: int = 7) -> Tensor:
    return integers(VOCABULARY - 2, rows, length) + 1


def some_labels(classes: int = VOCABULARY, rows: int = 4, length: int = 7) -> Tensor:
    """Labels of tokens, a third of which are padding."""
    labels = integers(classes, rows, length, seed=1)
    return labels.masked_fill(seeded(rows, length, seed=2) < -0.4, -100)
