"""Tiny models with dropout of their own, made from configurations, with a batch for each task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from adapters.texts import VOCABULARY, Encoder

ROWS, TIME = 6, 9
RATE = 0.3
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A model, a batch, and where its labels and scores are.

    Args:
        make: the model, its dropout on.
        batch: what it is given.
        kind: of R-Drop.
        problem: how labels and scores belong together, for the definition.
        loss: what `consistent` has to be told.
        mode: how to make views where all noise is drawn here.
    """

    make: Callable[[], nn.Module]
    batch: Batch
    kind: str = "classes"
    problem: str = "classes"
    loss: str | None = None
    mode: str = "auto"


def drawn(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def texts(rows: int = ROWS, **labels: Tensor) -> Batch:
    mask = torch.ones(rows, TIME).long()
    mask[1, 6:] = 0
    return {"input_ids": 3 + drawn(VOCABULARY - 3, rows, TIME), "attention_mask": mask, **labels}


def of_words(classes: int = VOCABULARY) -> Tensor:
    labels = drawn(classes, ROWS, TIME, seed=1)
    labels[1, 6:] = -100
    return labels.masked_fill(normal(ROWS, TIME) < -0.8, -100)


def made(name: str, kind: str, **settings: Any) -> Callable[[], nn.Module]:
    """A model of `transformers` by the name of its class and of its configuration."""

    def make() -> nn.Module:
        import transformers

        config = getattr(transformers, kind)(**settings)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = getattr(transformers, name)(config)
            # As after training: heads begin so small that views would hardly differ.
            for parameter in model.parameters():
                parameter.data.mul_(3)
        return model.train()

    return make


BERT: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 24,
    "hidden_dropout_prob": RATE,
    "attention_probs_dropout_prob": RATE,
}
ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
BART: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 24,
    "dropout": RATE,
    "attention_dropout": RATE,
    "activation_dropout": RATE,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
    **ENDS,
}
T5 = {
    "vocab_size": VOCABULARY,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 1,
    "num_heads": 2,
    "dropout_rate": RATE,
    "decoder_start_token_id": 0,
    **ENDS,
}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_positions": 24,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 2,
    "resid_pdrop": RATE,
    "embd_pdrop": RATE,
    "attn_pdrop": RATE,
    **ENDS,
}
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 32,
    "attention_dropout": RATE,
    **ENDS,
}
VIT = {**BERT, "image_size": 8, "patch_size": 4, "num_labels": 3}
CLASS = drawn(3, ROWS)
SPAN = {"start_positions": drawn(TIME, ROWS), "end_positions": drawn(TIME, ROWS, seed=1)}


def bert(head: str, **more: Any) -> Callable[[], nn.Module]:
    return made(f"BertFor{head}", "BertConfig", **BERT, **more)


def transformer() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Encoder(RATE).train()


CASES: dict[str, Case] = {
    "BERT, sentences": Case(bert("SequenceClassification", num_labels=3), texts(labels=CLASS)),
    "BERT, tags": Case(bert("TokenClassification", num_labels=3), texts(labels=of_words(3))),
    "BERT, a value": Case(
        bert("SequenceClassification", num_labels=1), texts(labels=normal(ROWS)), "values", "values"
    ),
    "BERT, several labels": Case(
        bert("SequenceClassification", num_labels=3),
        texts(labels=(normal(ROWS, 3) > 0).float()),
        "labels",
        "labels",
    ),
    "BERT, choices": Case(
        bert("MultipleChoice"),
        {
            **{k: v.view(2, 3, TIME) for k, v in texts().items()},
            "labels": drawn(3, 2),
        },
    ),
    "BERT, spans": Case(bert("QuestionAnswering"), texts(**SPAN), problem="spans"),
    "RoBERTa, masked words": Case(
        made("RobertaForMaskedLM", "RobertaConfig", **BERT, **ENDS), texts(labels=of_words())
    ),
    "DeBERTa, sentences": Case(
        made(
            "DebertaV2ForSequenceClassification",
            "DebertaV2Config",
            **BERT,
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            pooler_dropout=RATE,
            pooler_hidden_size=16,
            num_labels=3,
        ),
        texts(labels=CLASS),
        mode="looped",  # it drops positions, once for the whole batch
    ),
    "ViT, images": Case(
        made("ViTForImageClassification", "ViTConfig", **VIT),
        {"pixel_values": normal(ROWS, 3, 8, 8), "labels": CLASS},
    ),
    "BART": Case(
        made("BartForConditionalGeneration", "BartConfig", **BART), texts(labels=of_words())
    ),
    "T5": Case(made("T5ForConditionalGeneration", "T5Config", **T5), texts(labels=of_words())),
    "Marian": Case(made("MarianMTModel", "MarianConfig", **BART), texts(labels=of_words())),
    "GPT-2": Case(
        made("GPT2LMHeadModel", "GPT2Config", **GPT2), texts(labels=of_words()), problem="causal"
    ),
    "Llama": Case(
        made("LlamaForCausalLM", "LlamaConfig", **LLAMA), texts(labels=of_words()), problem="causal"
    ),
    "nn.Transformer": Case(transformer, texts(labels=of_words()), loss="tokens"),
}
