"""A small encoder-decoder Transformer (Vaswani et al., 2017), untrained."""

from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import MissingExtra
from dropsmith.models.described import DescribedModel
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.patterns import Bernoulli, Gaussian, Pattern, StochasticDepth, WordDropout
from dropsmith.plans import Plan, Rule, rule

PAD, BEGIN, END = 0, 1, 2
"""Tokens that fill a row up, begin what is written, and end any text."""


class SmallSeq2Seq(DescribedModel):
    """Scores of the next token of a target text, given a source text and the target so far.

    One table of embeddings serves source, target and scores. Layers normalise after they act.

    >>> net = SmallSeq2Seq(words=20, width=8, heads=2, layers=1)
    >>> source, target = torch.tensor([[5, 6, 2], [7, 2, 0]]), torch.tensor([[1, 8], [1, 9]])
    >>> net(source, target).shape
    torch.Size([2, 2, 20])

    Args:
        words: size of the vocabulary both texts share; 0 pads, 1 begins a target, 2 ends a text.
        width: units of a token.
        heads: how many ways each layer attends.
        layers: how many layers the encoder and the decoder have each.
        longest: most tokens of a text.
        inner: units between the two products of each feed-forward part; four times the width
            where None.

    Raises:
        MissingExtra: transformers is not installed.
    """

    def __init__(
        self,
        *,
        words: int,
        width: int = 128,
        heads: int = 4,
        layers: int = 2,
        longest: int = 512,
        inner: int | None = None,
    ) -> None:
        super().__init__()
        library = _transformers()
        shape = {
            f"{side}_{name}": size
            for side in ("encoder", "decoder")
            for name, size in (
                ("layers", layers),
                ("attention_heads", heads),
                ("ffn_dim", inner or 4 * width),
            )
        }
        config = library.MarianConfig(
            vocab_size=words,
            d_model=width,
            max_position_embeddings=longest,
            activation_function="relu",
            scale_embedding=True,
            init_std=width**-0.5,
            pad_token_id=PAD,
            bos_token_id=BEGIN,
            decoder_start_token_id=BEGIN,
            eos_token_id=END,
            forced_eos_token_id=None,
            dropout=0.0,
            attention_dropout=0.0,
            activation_dropout=0.0,
            **shape,
        )
        self.net: Any = library.MarianMTModel(config)
        for module in self.net.modules():
            if isinstance(module, nn.Linear) and module is not self.net.lm_head:
                nn.init.xavier_uniform_(module.weight)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores `[batch, time, words]` of what follows each token of the target.

        Args:
            source: `[batch, time]`, padded at its end.
            target: `[batch, time]`, which begins with `BEGIN` and is padded at its end.
        """
        return self.net(
            input_ids=source,
            attention_mask=(source != PAD).long(),
            decoder_input_ids=target,
            use_cache=False,
        ).logits

    def write(self, source: Tensor, *, beams: int, longest: int) -> Tensor:
        """The target that beam search finds for each source, `[batch, time]` without `BEGIN`.

        Args:
            source: `[batch, time]`.
            beams: how many targets are followed at a time.
            longest: most tokens of a target.
        """
        with torch.no_grad():
            tokens = self.net.generate(
                input_ids=source,
                attention_mask=(source != PAD).long(),
                num_beams=beams,
                max_new_tokens=longest,
                suppress_tokens=[PAD, BEGIN],
                early_stopping=True,
                do_sample=False,
            )[:, 1:]
        # What follows the first END is of no meaning: transformers fills it up with more of them.
        after_end = (tokens == END).cumsum(1) - (tokens == END).long() > 0
        return tokens.masked_fill(after_end, PAD)


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingExtra(
            "the small encoder-decoder model", "transformers", "transformers"
        ) from None
    return transformers


_BRANCHES = (
    "net.model.*.layers.*.self_attn.out_proj",
    "net.model.decoder.layers.*.encoder_attn.out_proj",
    "net.model.*.layers.*.fc2",
)
_EMBEDDING = "net.model.*.embed_tokens"


def _everywhere(pattern: Pattern) -> tuple[Rule, ...]:
    return (rule(_EMBEDDING, pattern), *(rule(branch, pattern) for branch in _BRANCHES))


_PLACES: NoiseTable = {
    "dropout": lambda rate: _everywhere(Bernoulli(rate=rate)),
    "locked": lambda rate: _everywhere(Bernoulli(rate=rate, shared="time")),
    "gaussian": lambda rate: _everywhere(Gaussian(rate=rate)),
    "words": lambda rate: (rule(_EMBEDDING, WordDropout(rate=rate)),),
    "path": lambda rate: tuple(rule(branch, StochasticDepth(rate=rate)) for branch in _BRANCHES),
}

SEQ2SEQ_NOISES = tuple(_PLACES)


def seq2seq_plan(noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in `SmallSeq2Seq`.

    >>> seq2seq_plan("words", 0.1).rules
    (rule('net.model.*.embed_tokens', WordDropout(rate=0.1)),)

    Args:
        noise: `dropout`, `gaussian` or `locked` (one mask for all tokens of a text) on the
            embeddings and every branch of every layer, where Vaswani et al. (2017) have dropout;
            `words` (token types) on the embeddings; `path` (whole branches, text by text).
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_PLACES, noise, rate, "SmallSeq2Seq")
