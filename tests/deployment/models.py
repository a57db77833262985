"""Models that are exported, each with noise of several kinds, and batches for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dropsmith import recurrent
from dropsmith.deployment import Exported
from dropsmith.deployment.formats import FORMATS
from dropsmith.patterns import (
    Bernoulli,
    DropBlock,
    DropConnect,
    Gaussian,
    Spans,
    StochasticDepth,
    Tiles,
    WordDropout,
)
from dropsmith.plans import Plan, rule
from dropsmith.prediction import predict

Batch = Mapping[str, Tensor]


class Perceptron(nn.Module):
    """A module of dropout that runs twice, `F.dropout`, and layers for rules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.branch, self.wide = nn.Linear(8, 8), nn.Linear(8, 8)
        self.dropout = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.dropout(self.first(x).relu())
        hidden = hidden + self.branch(hidden)
        hidden = F.dropout(self.second(hidden), 0.2, self.training)
        return self.out(self.dropout(self.wide(hidden)))


class Pictures(nn.Module):
    """Two convolutions and `nn.Dropout2d` between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.dropout, self.out = nn.Dropout2d(0.2), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.second(self.dropout(self.first(x).relu())).relu().mean((2, 3)))


class Words(nn.Module):
    """The mean of embedded words."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.middle = nn.Embedding(20, 6), nn.Linear(6, 6)
        self.top, self.out = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, words: Tensor) -> Tensor:
        hidden = self.top(self.middle(self.embedding(words)).relu())
        return self.out(hidden.mean(1))


class Encoder(nn.Module):
    """A layer of a Transformer, with dropout in its attention."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, 0.2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(x).mean(1))


class Sequences(nn.Module):
    """A recurrent layer, and scores from its last state."""

    def __init__(self, kind: type[nn.RNNBase], convert: bool = True, **settings: Any) -> None:
        super().__init__()
        build: Any = kind
        self.layer = build(5, 6, batch_first=True, **settings)
        self.out = nn.Linear(12 if settings.get("bidirectional") else 6, 3)
        if convert:
            recurrent.convert(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.layer(x)[0][:, -1])


def bert(attention: str) -> nn.Module:
    """A small BERT, with fused or eager attention."""
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        num_labels=3,
        initializer_range=0.5,
        attn_implementation=attention,
    )
    return BertForSequenceClassification(config)


def table(rows: int = 5) -> Batch:
    return {"x": torch.randn(rows, 4)}


def pictures(rows: int = 3, height: int = 9, width: int = 8) -> Batch:
    return {"x": torch.randn(rows, 2, height, width)}


def words(rows: int = 5, length: int = 7) -> Batch:
    return {"words": torch.randint(0, 20, (rows, length))}


def sequences(rows: int = 5, length: int = 7) -> Batch:
    return {"x": torch.randn(rows, length, 5)}


def embedded(rows: int = 5, length: int = 7) -> Batch:
    return {"x": torch.randn(rows, length, 8)}


def tokens(rows: int = 5, length: int = 7) -> Batch:
    ends = torch.arange(length - rows + 1, length + 1).clamp(min=2)
    mask = (torch.arange(length) < ends[:, None]).long()
    return {"input_ids": torch.randint(0, 50, (rows, length)), "attention_mask": mask}


@dataclass(frozen=True)
class Example:
    """A model with noise, and batches for it.

    Args:
        make: the model, in train mode as modules are made.
        batch: makes a batch, by default another one than `sizes` makes.
        sizes: of the other batch.
        plan: noise beside the model's own.
    """

    make: Callable[[], nn.Module]
    batch: Callable[..., Batch]
    sizes: tuple[int, ...]
    plan: Plan | None = None

    def model(self) -> nn.Module:
        torch.manual_seed(0)
        return self.make().eval()

    def batches(self) -> tuple[Batch, Batch]:
        torch.manual_seed(1)
        return self.batch(), self.batch(*self.sizes)


def state(layer: str, shared: str, rate: float = 0.3) -> Plan:
    inputs = rule(f"{layer}.inputs", Bernoulli(rate=0.2))
    return Plan(rule(f"{layer}.recurrent", Bernoulli(rate=rate, shared=shared)), inputs)


EXAMPLES: dict[str, Example] = {
    "perceptron": Example(Perceptron, table, (2,)),
    "patterns": Example(
        Perceptron,
        table,
        (3,),
        Plan(
            rule("first", Bernoulli(rate=0.3, shared="batch")),
            rule("second", Gaussian(rate=0.3)),
            rule("branch", StochasticDepth(rate=0.4)),
            rule("wide.weight", DropConnect(rate=0.3)),
        ),
    ),
    "pictures": Example(
        Pictures,
        pictures,
        (4, 12, 5),
        Plan(rule("first", DropBlock(rate=0.3, size=3)), rule("second", Tiles(size=2, stride=2))),
    ),
    "words": Example(
        Words,
        words,
        (2, 11),
        Plan(
            rule("embedding", WordDropout(rate=0.3)),
            rule("middle", Spans(size=2, stride=3)),
            rule("top", Bernoulli(rate=0.3, shared="time")),
        ),
    ),
    "encoder": Example(Encoder, embedded, (2, 11)),
    "bert sdpa": Example(lambda: bert("sdpa"), tokens, (2, 11)),
    "bert eager": Example(lambda: bert("eager"), tokens, (2, 11)),
    "lstm": Example(
        lambda: Sequences(nn.LSTM, num_layers=2, dropout=0.3),
        sequences,
        (2, 11),
        state("layer", "time gate"),
    ),
    "gru": Example(
        lambda: Sequences(nn.GRU, bidirectional=True), sequences, (2, 11), state("layer", "time")
    ),
    "rnn": Example(lambda: Sequences(nn.RNN), sequences, (2, 11), state("layer", "time")),
    "lstm weights": Example(
        lambda: Sequences(nn.LSTM, convert=False),
        sequences,
        (2, 11),
        Plan(rule("layer.weight_hh_l0", DropConnect(rate=0.3))),
    ),
}


def runner(exported: Exported) -> Callable[..., list[Tensor]]:
    """What computes the outputs of an exported file from a batch, a seed and a number."""
    (file_format,) = (f for f in FORMATS if f.name == exported.format)
    loaded = file_format().load(exported.path)

    def outputs(batch: Batch, seed: int, number: int = 0) -> list[Tensor]:
        numbers = {"seed": seed, "number": number}
        tensors = {name: torch.tensor(value, dtype=torch.int32) for name, value in numbers.items()}
        return loaded({**tensors, **batch})

    return outputs


def run(exported: Exported, batch: Batch, seed: int, number: int = 0) -> list[Tensor]:
    """The outputs of an exported file."""
    return runner(exported)(batch, seed, number)


def agree_with_predict(
    exported: Exported, model: nn.Module, batch: Batch, plan: Plan | None, seed: int = 3
) -> None:
    """Assert that a file gives the draws, or the prediction, that `predict` gives."""
    samples = exported.samples or exported.strata or 5
    expected = predict(model, batch, samples, plan=plan, seed=seed, keep=True, draws=exported.draws)
    assert expected.draws is not None
    if exported.samples is None:
        runs = runner(exported)
        draws = [runs(batch, seed, number)[0] for number in (0, 2, samples - 1)]
        close(draws[0], expected.draws[0])
        close(draws[1], expected.draws[2])
        close(draws[2], expected.draws[samples - 1])
        assert (draws[0] - draws[1]).abs().max() > 1e-3
        return
    outputs = dict(zip(exported.outputs, run(exported, batch, seed), strict=True))
    for name, output in outputs.items():
        close(output, getattr(expected, name))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-6)
