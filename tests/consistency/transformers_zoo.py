"""Tiny Transformers of many kinds in train mode, each with a batch, padded where it can be."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from consistency.hugging_face import VOCABULARY, Batch, seed_and_make

ROWS, TIME = 3, 6
REAL = torch.ones(ROWS, TIME, dtype=torch.long)
REAL[1, 4:] = 0
LABELLED = torch.ones(ROWS, TIME - 1, dtype=torch.bool)
LABELLED[2, 3:] = False
_BERT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
}
_BART = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 24),
    "max_position_embeddings": 16,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
}


def ids() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    words = torch.randint(3, VOCABULARY, (ROWS, TIME), generator=generator)
    return words.masked_fill(REAL == 0, 1)


def _padded(**more: Any) -> Batch:
    return {"input_ids": ids(), "attention_mask": REAL, **more}


def _classes() -> Batch:
    return _padded(labels=torch.arange(ROWS) % 2)


def _words() -> Batch:
    return _padded(labels=ids().masked_fill(REAL == 0, -100))


def _translation() -> Batch:
    return _padded(labels=ids()[:, 1:].masked_fill(~LABELLED, -100))


def _images() -> Batch:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randn(ROWS, 1, 8, 8, generator=generator)
    return {"pixel_values": pixels, "labels": torch.arange(ROWS) % 2}


def bert_like(kind: str, **more: Any) -> Callable[..., nn.Module]:
    def make(attention: str = "sdpa", rate: float = 0.2, **own: Any) -> nn.Module:
        import transformers

        rates = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob"), rate)
        # DeBERTa and RoBERTa take what BERT takes.
        how = {} if kind == "DebertaV2" else {"attn_implementation": attention}
        config = getattr(transformers, f"{kind}Config")(**_BERT | rates | more | own | how)
        return seed_and_make(f"{kind}ForSequenceClassification", config)

    return make


def gpt2(attention: str = "sdpa", rate: float = 0.2) -> nn.Module:
    from transformers import GPT2Config

    rates = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), rate)
    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 1)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=16, n_embd=16, n_layer=2, n_head=2, **rates, **ends,
        attn_implementation=attention,
    )  # fmt: skip
    return seed_and_make("GPT2LMHeadModel", config)


def llama(attention: str = "sdpa", rate: float = 0.2) -> nn.Module:
    from transformers import LlamaConfig

    config = LlamaConfig(
        **_BERT, num_key_value_heads=1, attention_dropout=rate, attn_implementation=attention
    )
    return seed_and_make("LlamaForCausalLM", config)


def bart_like(kind: str, head: str) -> Callable[..., nn.Module]:
    def make(attention: str = "sdpa", rate: float = 0.2) -> nn.Module:
        import transformers

        config = getattr(transformers, f"{kind}Config")(
            **_BART, dropout=rate, attention_dropout=rate, attn_implementation=attention
        )
        return seed_and_make(head, config)

    return make


def t5(attention: str = "sdpa", rate: float = 0.2) -> nn.Module:
    from transformers import T5Config

    config = T5Config(
        vocab_size=VOCABULARY, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2,
        dropout_rate=rate, decoder_start_token_id=0, attn_implementation=attention,
    )  # fmt: skip
    return seed_and_make("T5ForConditionalGeneration", config)


def vit(attention: str = "sdpa", rate: float = 0.2) -> nn.Module:
    from transformers import ViTConfig

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        image_size=8, patch_size=4, num_channels=1, num_labels=2, attn_implementation=attention,
        hidden_dropout_prob=rate, attention_probs_dropout_prob=rate,
    )  # fmt: skip
    return seed_and_make("ViTForImageClassification", config)


MODELS: dict[str, tuple[Callable[..., nn.Module], Callable[[], Batch]]] = {
    "bert": (bert_like("Bert"), _classes),
    "roberta": (bert_like("Roberta"), _classes),
    "gpt2": (gpt2, _words),
    "llama": (llama, _words),
    "bart": (bart_like("Bart", "BartForConditionalGeneration"), _translation),
    "marian": (bart_like("Marian", "MarianMTModel"), _translation),
    "t5": (t5, _translation),
    "vit": (vit, _images),
    "deberta": (
        bert_like("DebertaV2", relative_attention=True, pos_att_type=["p2c", "c2p"]),
        _classes,
    ),
}
"""By name, how to make it and its batch."""
