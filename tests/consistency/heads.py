"""Small models whose head is large enough to be fused with the loss, in float64."""

from typing import Any

import torch
from torch import Tensor, nn

from consistency.hugging_face import seed_and_make
from consistency.tiny import integers, seeded

CLASSES = 1100
ROWS, LENGTH = 4, 7
IDS = integers(CLASSES - 2, ROWS, LENGTH) + 2
LABELS = integers(CLASSES, ROWS, LENGTH, seed=1).masked_fill(
    seeded(ROWS, LENGTH, seed=2) < -0.4, -100
)
BATCH = {"input_ids": IDS, "labels": LABELS}


def bert() -> nn.Module:
    from transformers import BertConfig

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    more = {"intermediate_size": 16, "max_position_embeddings": 16}
    return seed_and_make("BertForMaskedLM", BertConfig(vocab_size=CLASSES, **sizes, **more))


def gpt2() -> nn.Module:
    from transformers import GPT2Config

    ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), CLASSES - 1)
    sizes = {"n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2}
    return seed_and_make("GPT2LMHeadModel", GPT2Config(vocab_size=CLASSES, **sizes, **ends))


def t5() -> nn.Module:
    from transformers import T5Config

    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    config = T5Config(vocab_size=CLASSES, **sizes)
    config.decoder_start_token_id = 0
    return seed_and_make("T5ForConditionalGeneration", config)


def marian() -> nn.Module:
    """Its logits are the head's plus a constant."""
    from transformers import MarianConfig

    sides: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        sides |= {f"{side}_layers": 1, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 16}
    ends = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    config = MarianConfig(
        vocab_size=CLASSES, d_model=16, max_position_embeddings=16, **sides, **ends
    )
    model = seed_and_make("MarianMTModel", config)
    model.final_logits_bias.copy_(seeded(1, CLASSES, seed=5))
    return model


def plain() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Embedding(CLASSES, 16), nn.Dropout(0.3), nn.Linear(16, CLASSES))


class Around(nn.Module):
    """A model whose logits are made of a head's."""

    def __init__(self, made) -> None:
        super().__init__()
        self.body, self.made = plain(), made

    def forward(self, input: Tensor) -> Tensor:
        return self.made(self.body(input))
