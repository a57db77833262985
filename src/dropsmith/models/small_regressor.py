"""A recurrent layer that reads a text to its end, and one value for what it has read."""

import torch
from torch import Tensor, nn

from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.models.recurrent_lm import cell_named
from dropsmith.patterns import Bernoulli, DropConnect, Gaussian, WordDropout
from dropsmith.plans import Plan, Rule, rule


class SmallRegressor(DescribedModel):
    """One value for each text of a batch, from the state after its last word.

    Texts are padded with zeros at their ends. The layer reads on over the padding, but what it
    returned at the last word is what counts, so that padding changes nothing.

    >>> texts = torch.tensor([[4, 5, 6], [7, 0, 0]])
    >>> SmallRegressor(words=50)(texts).shape
    torch.Size([2, 1])

    Args:
        words: size of the vocabulary, the padding's 0 included.
        width: units of the embedding and of the layer.
        cell: `lstm` or `gru`.

    Raises:
        TaskError: there is no such cell.
    """

    def __init__(self, *, words: int, width: int = 128, cell: str = "lstm") -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width, padding_idx=0)
        self.layer = cell_named(cell)(width, width, batch_first=True)
        self.head = nn.Linear(width, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """The value `[batch, 1]` of each text of `[batch, time]`."""
        states, _ = self.layer(self.embedding(tokens))
        last = (tokens != 0).sum(1).clamp(min=1) - 1
        return self.head(states[torch.arange(len(tokens), device=tokens.device), last])


_PLACES: NoiseTable = {
    "dropout": lambda rate: (
        rule("embedding", Bernoulli(rate=rate)),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "locked": lambda rate: (
        rule("embedding", Bernoulli(rate=rate, shared="time")),
        rule("head.input", Bernoulli(rate=rate)),
    ),
    "gaussian": lambda rate: (
        rule("embedding", Gaussian(rate=rate)),
        rule("head.input", Gaussian(rate=rate)),
    ),
    "words": lambda rate: (rule("embedding", WordDropout(rate=rate)),),
    "weights": lambda rate: (rule("layer.weight_hh_l0", DropConnect(rate=rate)),),
    "variational": lambda rate: _variational(rate, "time gate"),
    "variational-untied": lambda rate: _variational(rate, "time"),
    "naive": lambda rate: _variational(rate, ""),
}


def _variational(rate: float, sharing: str) -> tuple[Rule, ...]:
    return (
        rule("embedding", WordDropout(rate=rate)),
        rule("layer.inputs", Bernoulli(rate=rate, shared=sharing)),
        rule("layer.recurrent", Bernoulli(rate=rate, shared=sharing)),
        rule("head.input", Bernoulli(rate=rate)),
    )


REGRESSOR_NOISES = tuple(_PLACES)


def regressor_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallRegressor`.

    >>> regressor_plan("words", 0.1).rules
    (rule('embedding', WordDropout(rate=0.1)),)

    Args:
        noise: `dropout`, `gaussian`, or `locked` (one mask for all steps) before and after the
            layer; `words` (word types) on the embedding; `weights` on the recurrent matrix;
            `variational` and `variational-untied`, all of Gal & Ghahramani's (2016) masks, the
            gates sharing one or having one each; `naive`, the latter drawn anew at every step.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallRegressor")
