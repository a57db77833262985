"""Somebody's `nn.LSTM` made variational: converted, audited, trained, and asked how sure it is.

The model's code knows nothing of it. One call gives its LSTM places for noise on the recurrent
state, at the speed of the native layer; a plan drops word types, the input of every layer, its
state and the output with one mask for all time steps (Gal & Ghahramani, 2016); the audit counts
that all of it is on. In the end perplexity on held-out text is taken twice: without noise, and with
the probabilities of many noisy passes averaged. Then the layer is torch's again.

The text is the language reference that comes with the running Python, so nothing is downloaded:

    python examples/variational_lstm_language_model.py
    python examples/variational_lstm_language_model.py --epochs 20 --width 256 --samples 100
"""

import argparse
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

import dropsmith as ds
from dropsmith.measures import reliability
from dropsmith.objectives import losses
from dropsmith.prediction import predict
from dropsmith.tasks import Split, find_task

Batch = dict[str, Tensor]


class LanguageModel(nn.Module):
    """Scores of the next word at every place of a batch of windows."""

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, words)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores `[batch, time, words]` after each token of `[batch, time]`."""
        states, _ = self.lstm(self.embedding(tokens))
        return self.head(states)


def noise(rate: float) -> ds.Plan:
    """The noise of Gal & Ghahramani (2016), section 4, with one mask for the gates of a layer."""
    return ds.Plan(
        ds.rule("embedding", ds.WordDropout(rate=0.6 * rate)),
        ds.rule("lstm.inputs", ds.Bernoulli(rate=rate, shared="time gate")),
        ds.rule("lstm.recurrent", ds.Bernoulli(rate=0.6 * rate, shared="time gate")),
        ds.rule("head.input", ds.Bernoulli(rate=rate, shared="time")),
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Read, install, train, predict."""
    args = arguments(argv)
    torch.manual_seed(args.seed)
    data = find_task("python-docs").load(limit=args.limit)
    held_out = list(batches(data.validation, 20))[: args.held_out]
    model = LanguageModel(data.classes, args.width)
    print(f"{len(data.train)} windows of {data.source}\n")
    print(f"noise inside is possible at: {', '.join(ds.recurrent.convert(model))}")
    with noise(args.rate).installed(model, held_out[0], seed=args.seed):
        print(ds.audit(model, held_out[0]), "\n")
        train(model, data.train, args, held_out)
        averaged = [predict(model, batch, samples=args.samples).mean for batch in held_out]
    ds.recurrent.revert(model)
    plain = perplexity(model, held_out)
    labels = torch.cat([batch["labels"] for batch in held_out])
    print(f"held-out perplexity without noise {plain:.1f}")
    nll = reliability(torch.cat(averaged), labels).nll
    print(f"held-out perplexity, {args.samples} samples averaged {math.exp(nll):.1f}")


def train(
    model: nn.Module, text: Split, args: argparse.Namespace, held_out: Sequence[Batch]
) -> None:
    """An ordinary loop: the noise is in the model."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
    for epoch in range(args.epochs):
        for batch in batches(text, 20, shuffled=True):
            optimizer.zero_grad()
            losses.tokens(model(batch["tokens"]), batch["labels"]).mean.value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        print(f"epoch {epoch + 1}: held-out perplexity {perplexity(model, held_out):.1f}")


@torch.no_grad()
def perplexity(model: nn.Module, held_out: Sequence[Batch]) -> float:
    """exp of the mean negative log-likelihood of a word, without noise."""
    model.eval()
    found = [losses.tokens(model(batch["tokens"]), batch["labels"]).mean for batch in held_out]
    model.train()
    return math.exp(sum(float(m.sum) for m in found) / sum(float(m.count) for m in found))


def batches(text: Split, size: int, shuffled: bool = False) -> Iterator[Batch]:
    """Windows of the text, in order or not."""
    order = torch.randperm(len(text)) if shuffled else torch.arange(len(text))
    for rows in order.split(size):
        yield text.rows(rows)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """What can be chosen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--limit", type=int, help="use only this many windows of 35 words")
    parser.add_argument("--held-out", type=int, default=5, help="batches of 20 windows to judge by")
    parser.add_argument(
        "--rate", type=float, default=0.3, help="chance of dropping; of words and states 0.6 of it"
    )
    parser.add_argument("--samples", type=int, default=20, help="noisy passes to average")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
