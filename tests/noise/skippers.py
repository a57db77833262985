"""Models that skip layers in training, in every way in which a rate is kept and drawn for."""

import random
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from noise.zoo import seeded

TORCH = lambda: float(torch.rand([]))  # noqa: E731
DRAWS = {"torch": TORCH, "numpy": np.random.random, "python": random.random}
WIDTH = 8
X = seeded(6, WIDTH)


class Layer(nn.Module):
    """A dropout module that is called, one that is only read, and a call."""

    def __init__(self, rate):
        super().__init__()
        self.linear, self.called, self.read = (
            nn.Linear(WIDTH, WIDTH),
            nn.Dropout(rate),
            nn.Dropout(rate),
        )

    def forward(self, x):
        x = self.called(self.linear(x))
        return x + F.dropout(x, self.read.p, self.training)


class Stack(nn.Module):
    """Layers, each skipped at a rate that a subclass keeps somewhere."""

    def __init__(self, skip, rate=0.5, draw=TORCH):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(Layer(rate) for _ in range(3))
        self.draw = draw
        self.keep(skip)

    def keep(self, skip):
        self.layerdrop = skip

    def skip(self):
        return self.layerdrop

    def forward(self, x):
        for layer in self.layers:
            if not self.training or self.draw() >= self.skip():
                x = layer(x)
        return x


class ByConfig(Stack):
    def keep(self, skip):
        self.config = SimpleNamespace(layerdrop=skip)

    def skip(self):
        return self.config.layerdrop


class OfAPart(Stack):
    """Its configuration names the part, as those of models of several parts do."""

    def keep(self, skip):
        self.config = SimpleNamespace(speech_encoder_layerdrop=skip, text_layerdrop=0.0)

    def skip(self):
        return self.config.speech_encoder_layerdrop


STACKS = {
    "attribute": Stack,
    "config": ByConfig,
    "part": OfAPart,
    "numpy": lambda skip, rate=0.5: Stack(skip, rate, DRAWS["numpy"]),
    "python": lambda skip, rate=0.5: Stack(skip, rate, DRAWS["python"]),
}


def stacked_in(kind, skip, rate=0.5):
    """A stack between two modules of a root."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), STACKS[kind](skip, rate), nn.Linear(WIDTH, 3))


def tiny_wav2vec2(skip, rate=0.5):
    transformers = __import__("transformers")
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8), conv_kernel=(5, 3), conv_stride=(5, 2), num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, vocab_size=11,
        hidden_dropout=rate, activation_dropout=rate, attention_dropout=rate, layerdrop=skip,
        apply_spec_augment=False,
    )  # fmt: skip
    return transformers.Wav2Vec2ForCTC(config).train()


def tiny_bart(skip, rate=0.5):
    transformers = __import__("transformers")
    torch.manual_seed(0)
    config = transformers.BartConfig(
        vocab_size=20, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, dropout=rate,
        encoder_layerdrop=skip, decoder_layerdrop=skip, max_position_embeddings=16,
    )  # fmt: skip
    return transformers.BartModel(config).train()


REAL = {
    "wav2vec2": (tiny_wav2vec2, {"input_values": seeded(3, 200)}),
    "bart": (tiny_bart, {"input_ids": torch.arange(18).view(3, 6) + 1}),
}
