"""Small models that are noisy in every way there is, each with a batch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def seeded(*sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(1))


def net(rate: float = 0.5) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(rate), nn.Linear(32, 3))


class Functional(nn.Module):
    """Functional dropout at several rates, one of which is read as zero in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 24), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.dropout(self.first(x), 0.5, self.training)
        h = F.dropout(h, 0.2 if self.training else 0.0, self.training)
        return self.second(F.dropout(h, p=0.9, training=False))


class Packed(nn.Module):
    """An LSTM fed with packed sequences, whose dropout only torch can draw."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.head = nn.LSTM(4, 16, 2, dropout=0.5, batch_first=True), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        lengths = [x.shape[1]] * x.shape[0]
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
        return self.head(nn.utils.rnn.pad_packed_sequence(self.lstm(packed)[0], True)[0])


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.head = nn.LSTM(4, 16, 2, dropout=0.5, batch_first=True), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention, self.head = (
            nn.MultiheadAttention(8, 2, 0.5, batch_first=True),
            nn.Linear(8, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x, need_weights=False)[0])


class OwnNoise(nn.Module):
    """Noise that is no dropout and knows no mode, between two layers that have none."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(4, 16), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.second(h * torch.bernoulli(torch.full_like(h, 0.5)))


class InPlace(nn.Module):
    """What a module returns is worked on in place by code that is in no module."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.inner = nn.Embedding(10, 16), nn.Linear(16, 16)
        self.head = nn.Linear(16, 2)

    def forward(self, words: Tensor) -> Tensor:
        h = self.table(words)
        h *= 2
        h = self.inner(h).relu_()
        h += 1
        return self.head(F.dropout(h, 0.3, self.training)).mean(1)


class Twice(nn.Module):
    """One module used below the noise, inside another module, and above the noise."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared = nn.Linear(8, 8)
        self.block = nn.Sequential(self.shared, nn.Tanh(), self.shared)
        self.pair = Pair(self.shared)
        self.drop, self.head = nn.Dropout(0.4), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        one = self.block(self.shared(x))
        two, scale = self.pair(one)
        return self.head(self.shared(self.drop(one + two * scale)))


class Pair(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> tuple[Tensor, float]:
        return self.inner(x).sin(), 0.5


class AcrossRows(nn.Module):
    """Every row depends on the noise of all rows: samples cannot share a batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.drop, self.head = nn.Dropout(0.5), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.drop(x)
        return self.head(h - h.mean(0))


def image_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(inplace=True)),
        *(nn.Conv2d(6, 8, 3), nn.Dropout2d(0.4), nn.Flatten(), nn.Linear(128, 5), nn.Dropout(0.1)),
    )


def encoder(batch_first: bool = True) -> nn.TransformerEncoder:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, 0.3, batch_first=batch_first)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def alpha() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.SELU(), nn.AlphaDropout(0.2), nn.Linear(8, 2))


NOISY = {
    "dropout": (net(), seeded(5, 4)),
    "functional": (Functional(), seeded(5, 4)),
    "packed": (Packed(), seeded(3, 6, 4)),
    "lstm": (Recurrent(), seeded(3, 6, 4)),
    "multi-head": (Attention(), seeded(3, 6, 8)),
    "encoder": (encoder(), seeded(3, 5, 16)),
    "encoder, time first": (encoder(False), seeded(5, 3, 16)),
    "images": (image_net(), seeded(3, 1, 8, 8)),
    "alpha": (alpha(), seeded(5, 4)),
    "root": (nn.Dropout(0.4), seeded(3, 4)),
    "own noise": (OwnNoise(), seeded(5, 4)),
    "in place": (InPlace(), torch.arange(24).view(4, 6) % 10),
    "twice": (Twice(), seeded(3, 8)),
    "across rows": (AcrossRows(), seeded(5, 4)),
}
