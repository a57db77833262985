"""A small causal Transformer, GPT-2's layers (Radford et al., 2019), untrained."""

from typing import Any

from torch import Tensor

from dropsmith.errors import MissingExtra
from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, Gaussian, Pattern, StochasticDepth, WordDropout
from dropsmith.plans import Plan, Rule, rule


class SmallGPT(DescribedModel):
    """Scores of the next word at every place of a batch of windows, each read by itself.

    >>> import torch
    >>> SmallGPT(words=50, window=7, width=8, heads=2)(torch.zeros(3, 7, dtype=torch.long)).shape
    torch.Size([3, 7, 50])

    Args:
        words: size of the vocabulary; the scores use the embedding's rows as weights.
        window: most words it looks back on.
        width: units of a word.
        heads: how many ways each layer attends.
        layers: how many layers.

    Raises:
        MissingExtra: transformers is not installed.
    """

    def __init__(
        self, *, words: int, window: int, width: int = 128, heads: int = 4, layers: int = 2
    ) -> None:
        super().__init__()
        try:
            import transformers as library
        except ImportError:
            needs = "the small causal Transformer"
            raise MissingExtra(needs, "transformers", "transformers") from None
        config = library.GPT2Config(
            vocab_size=words,
            n_positions=window,
            n_embd=width,
            n_head=heads,
            n_layer=layers,
            initializer_range=0.02,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            resid_pdrop=0.0,
            bos_token_id=None,
            eos_token_id=None,
            use_cache=False,
        )
        self.net: Any = library.GPT2LMHeadModel(config)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores `[batch, time, words]` after each token of `[batch, time]`."""
        return self.net(input_ids=tokens).logits


_BRANCHES = ("net.transformer.h.*.attn.resid_dropout", "net.transformer.h.*.mlp.dropout")
_TABLE = "net.transformer.wte"


def _everywhere(pattern: Pattern) -> tuple[Rule, ...]:
    places = ("net.transformer.drop", *_BRANCHES)
    return tuple(rule(place, pattern) for place in places)


_PLACES: NoiseTable = {
    "dropout": lambda rate: _everywhere(Bernoulli(rate=rate)),
    "locked": lambda rate: _everywhere(Bernoulli(rate=rate, shared="time")),
    "gaussian": lambda rate: _everywhere(Gaussian(rate=rate)),
    "words": lambda rate: (rule(_TABLE, WordDropout(rate=rate)),),
    "path": lambda rate: tuple(rule(branch, StochasticDepth(rate=rate)) for branch in _BRANCHES),
}

GPT_NOISES = tuple(_PLACES)


def gpt_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallGPT`.

    >>> gpt_plan("words", 0.1).rules
    (rule('net.transformer.wte', WordDropout(rate=0.1)),)

    Args:
        noise: `dropout`, `gaussian` or `locked` (one mask for all words of a window) on the
            embeddings and every branch of every layer, where GPT-2 has dropout outside of
            attention; `words` (word types) on the embeddings; `path` (whole branches, window by
            window).
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallGPT")
