"""A small word language model: one LSTM with tied embedding and output, for minutes on a CPU."""

from typing import NamedTuple

from torch import Tensor, nn

from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, DropConnect, Gaussian, WordDropout
from dropsmith.plans import Plan, Rule, rule
from dropsmith.recurrent import LSTM


class Scores(NamedTuple):
    """Scores of the next word, and the recurrent state after the last word that was read.

    A named tuple, because DistributedDataParallel and torch's tree functions look into those.

    Args:
        logits: `[batch, time, words]`.
        state: tensors with their rows first, `[batch, layers, unit]`: views that are stacked or
            cut along dimension 0 then never confuse rows with layers.
    """

    logits: Tensor
    state: tuple[Tensor, ...]


def rows_first(state: Tensor) -> Tensor:
    """`[layers, batch, unit]`, as torch's layers return a state, as `[batch, layers, unit]`."""
    return state.transpose(0, 1)


def layers_first(state: Tensor) -> Tensor:
    """`[batch, layers, unit]` as `[layers, batch, unit]`, as torch's layers take a state."""
    return state.transpose(0, 1).contiguous()


class SmallLSTM(DescribedModel):
    """Scores of the next word at every place of a batch of windows.

    >>> import torch
    >>> net = SmallLSTM(words=50)
    >>> first = net(torch.zeros(3, 7, dtype=torch.long))
    >>> net(torch.zeros(3, 7, dtype=torch.long), first.state).logits.shape
    torch.Size([3, 7, 50])

    Args:
        words: size of the vocabulary.
        width: units of the embedding and of the LSTM.
        tied: whether the scores use the embedding's rows as weights (Inan et al., 2017).
    """

    def __init__(self, *, words: int, width: int = 128, tied: bool = True) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.lstm = LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, words)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: tuple[Tensor, ...] | None = None) -> Scores:
        """Scores `[batch, time, words]` after each token of `[batch, time]`, and the state there.

        Args:
            tokens: word numbers.
            state: hidden and cell state to go on from, each `[batch, layers, unit]`; zeros if None.
        """
        before = None if state is None else (layers_first(state[0]), layers_first(state[1]))
        hidden, after = self.lstm(self.embedding(tokens), before)
        return Scores(self.head(hidden), tuple(map(rows_first, after)))


_PLACES: NoiseTable = {
    "dropout": lambda rate: (
        rule("embedding", Bernoulli(rate=rate)),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "locked": lambda rate: (
        rule("embedding", Bernoulli(rate=rate, shared="time")),
        rule("head.input", Bernoulli(rate=rate, shared="time")),
    ),
    "gaussian": lambda rate: (
        rule("embedding", Gaussian(rate=rate)),
        rule("head.input", Gaussian(rate=rate)),
    ),
    "words": lambda rate: (rule("embedding", WordDropout(rate=rate)),),
    "weights": lambda rate: (rule("lstm.weight_hh_l0", DropConnect(rate=rate)),),
    "variational": lambda rate: _variational(rate, "time gate"),
    "variational-untied": lambda rate: _variational(rate, "time"),
    "naive": lambda rate: _variational(rate, ""),
    "awd": lambda rate: (
        rule("embedding", WordDropout(rate=rate / 5, per="table")),
        rule("lstm.input", Bernoulli(rate=rate, shared="time")),
        rule("lstm.weight_hh_l0", DropConnect(rate=rate)),
        rule("head.input", Bernoulli(rate=rate, shared="time")),
    ),
}


def _variational(rate: float, sharing: str) -> tuple[Rule, ...]:
    # Words and state are dropped less, as in the paper: 0.3 and 0.5 in its large model.
    return (
        rule("embedding", WordDropout(rate=0.6 * rate)),
        rule("lstm.inputs", Bernoulli(rate=rate, shared=sharing)),
        rule("lstm.recurrent", Bernoulli(rate=0.6 * rate, shared=sharing)),
        rule("head.input", Bernoulli(rate=rate, shared="time" if sharing else "")),
    )


LSTM_NOISES = tuple(_PLACES)


def lstm_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallLSTM`.

    >>> lstm_plan("words", 0.1).rules
    (rule('embedding', WordDropout(rate=0.1)),)

    Args:
        noise: `dropout`, `gaussian`, or `locked` (one mask for all steps) before and after the
            LSTM; `words` (word types) on the embedding; `weights` on the recurrent matrix;
            `variational` and `variational-untied`, all of Gal & Ghahramani's (2016) masks, the
            gates sharing one or having one each; `naive`, the latter drawn anew at every step, as
            in the code they compare with; `awd`, all of AWD-LSTM's (Merity et al., 2018).
        rate: chance of dropping before and after the LSTM; of words and states 0.6 of it in
            `variational`, of words a fifth in `awd`.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallLSTM")
