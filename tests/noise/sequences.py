"""A recurrent model that takes the same sequences packed, or padded with their lengths."""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from dropsmith.patterns import Bernoulli
from dropsmith.plans.plan import Plan
from dropsmith.plans.rule import rule
from dropsmith.recurrent import convert
from noise.zoo import seeded

LENGTHS = torch.tensor([2, 5, 3, 4])
PADDED = seeded(4, 5, 6)
PACKED = pack_padded_sequence(PADDED, LENGTHS, batch_first=True, enforce_sorted=False)
BATCHES = [PACKED, (PACKED,), {"x": PACKED}]
PLAN = Plan(rule("lstm.recurrent", Bernoulli(rate=0.4, shared="time")))


class Reader(nn.Module):
    """Scores of each sequence from an LSTM's last state, with torch's noise on the way."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(6, 24, batch_first=True)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(24, 3)

    def forward(self, x: Tensor | PackedSequence, lengths: Tensor | None = None) -> Tensor:
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.drop(self.lstm(x)[1][0][-1]))


class Tagger(Reader):
    """Scores of every step, packed as the sequences were."""

    def forward(self, x: Tensor | PackedSequence, lengths: Tensor | None = None) -> PackedSequence:
        if lengths is not None:
            x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output = self.lstm(x)[0]
        return PackedSequence(self.head(output.data), *output[1:])


def planned(model: nn.Module) -> nn.Module:
    """The model with noise on its recurrent state alone."""
    convert(model)
    model.drop = nn.Identity()
    PLAN.install(model, seed=3)
    return model


def unpacked(packed: PackedSequence) -> list[Tensor]:
    """The sequences, each in a tensor of its own."""
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    return [row[:length] for row, length in zip(padded, lengths.tolist(), strict=True)]
