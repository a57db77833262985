"""Modules whose noise is not what they say, and how far a measured rate is from the truth."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from noise.zoo import (
    seeded,
)

ROWS, TIME, WIDTH = 8, 6, 8
X = seeded(ROWS, TIME, WIDTH)


def off_by(row, rate, flips=None):
    """How many standard errors a measured share is from a rate, given the independent flips."""
    flips = row.elements if flips is None else flips
    return abs(row.dropped - rate) / max((rate * (1 - rate) / flips) ** 0.5, 1e-9)


def lying(base, truth, call=F.dropout):
    """A dropout module that declares rate one half and has another."""
    return type("Lies", (base,), {"forward": lambda self, x: call(x, truth, self.training)})(0.5)


class LyingHeads(nn.MultiheadAttention):
    """Declares one half and hands on another rate."""

    truth = 0.0

    def forward(self, *args, **kwargs):
        self.dropout, declared = self.truth, self.dropout
        try:
            return super().forward(*args, **kwargs)
        finally:
            self.dropout = declared


class LyingLSTM(nn.LSTM):
    truth = 0.0

    def forward(self, *args):
        self.dropout, declared = self.truth, self.dropout
        try:
            return super().forward(*args)
        finally:
            self.dropout = declared


class Recurrent(nn.Module):
    def __init__(self, truth, packed=False, cell=LyingLSTM):
        super().__init__()
        self.packed = packed
        self.rnn = cell(WIDTH, 6, 2, dropout=0.5, batch_first=True)
        self.rnn.truth = truth

    def forward(self, x):
        if self.packed:
            lengths = torch.full((x.shape[0],), x.shape[1])
            x = pack_padded_sequence(x, lengths, batch_first=True)
        return self.rnn(x)[1][0]


def encoder(rate=0.5):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, rate, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def for_sampling(model):
    """Only the dropout modules in train mode, as Monte-Carlo dropout is often switched on."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    return model


SKIPS = "a call like this skips it: fused fast path"
