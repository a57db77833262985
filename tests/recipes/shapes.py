"""The published shapes of pretrained models, as configurations: their weights are not needed."""

from typing import Any

import transformers
from torch import nn


def _bert(classes: int) -> Any:
    return transformers.BertConfig(vocab_size=28_996, num_labels=classes)


def _roberta(classes: int) -> Any:
    return transformers.RobertaConfig(
        vocab_size=50_265,
        hidden_size=1_024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4_096,
        max_position_embeddings=514,
        type_vocab_size=1,
        num_labels=classes,
    )


def _bart(classes: int) -> Any:
    return transformers.BartConfig(vocab_size=50_265)


def _vit(classes: int) -> Any:
    return transformers.ViTConfig(image_size=384, num_labels=classes)


def _large_vit(classes: int) -> Any:
    return transformers.ViTConfig(
        image_size=384,
        hidden_size=1_024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4_096,
        num_labels=classes,
    )


_SHAPES = {
    "bert-base-cased": (_bert, "AutoModelForSequenceClassification"),
    "FacebookAI/roberta-large": (_roberta, "AutoModelForSequenceClassification"),
    "facebook/bart-large": (_bart, "AutoModelForSeq2SeqLM"),
    "google/vit-base-patch16-384": (_vit, "AutoModelForImageClassification"),
    "google/vit-large-patch16-384": (_large_vit, "AutoModelForImageClassification"),
}


def untrained(checkpoint: str, classes: int) -> nn.Module:
    """The model of a checkpoint as a recipe fine-tunes it, with weights drawn anew."""
    config, kind = _SHAPES[checkpoint]
    return getattr(transformers, kind).from_config(config(classes))
