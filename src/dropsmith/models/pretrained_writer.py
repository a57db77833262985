"""Pretrained encoders with decoders by name, such as BART and T5, returning scores alone."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.errors import TaskError, excerpt
from dropsmith.models.noise_tables import NoiseTable, plan_for_noise
from dropsmith.models.pretrained import load_pretrained, transformers_library, without_noise
from dropsmith.patterns import Bernoulli, TorchDropout, WordDropout
from dropsmith.plans import Plan, rule, select


class PretrainedWriter(nn.Module):
    """A pretrained model that writes a text from another, without noise of its own.

    Args:
        checkpoint: a name on the Hub such as `facebook/bart-large`, or a folder with its files.

    Raises:
        TaskError: the Hub cannot be reached or has no such model.
        MissingExtra: transformers is not installed.
    """

    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        library_class = transformers_library(checkpoint).AutoModelForSeq2SeqLM
        self.net: Any = without_noise(load_pretrained(checkpoint, library_class.from_pretrained))
        self.pad = int(self.net.config.pad_token_id)

    @classmethod
    def around(cls, net: Any) -> "PretrainedWriter":
        """The same around a model of transformers that is there already."""
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model.net = without_noise(net)
        model.pad = int(net.config.pad_token_id)
        return model

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Scores `[batch, time, words]` of what follows each token of the target.

        Args:
            source: `[batch, time]`, padded at its end as the checkpoint pads.
            target: `[batch, time]`, which begins as the checkpoint's decoder does.
        """
        return self.net(
            input_ids=source,
            attention_mask=(source != self.pad).long(),
            decoder_input_ids=target,
            use_cache=False,
        ).logits

    def write(self, source: Tensor, *, beams: int, longest: int, **settings: Any) -> Tensor:
        """The target that beam search finds for each source, `[batch, time]`.

        Args:
            source: `[batch, time]`.
            beams: how many targets are followed at a time.
            longest: most tokens of a target.
            settings: what else `generate` of transformers takes.
        """
        with torch.no_grad():
            return self.net.generate(
                input_ids=source,
                attention_mask=(source != self.pad).long(),
                num_beams=beams,
                max_new_tokens=longest,
                do_sample=False,
                **settings,
            )[:, 1:]


def _places(kind: str, table: str) -> NoiseTable:
    return {
        "dropout": lambda rate: (
            rule(select(kind=kind), Bernoulli(rate=rate)),
            rule(select(kind="attention"), TorchDropout(rate=rate)),
        ),
        "locked": lambda rate: (rule(table, Bernoulli(rate=rate, shared="time")),),
        "words": lambda rate: (rule(table, WordDropout(rate=rate)),),
    }


_BART = _places("functional", "net.model.*.embed_tokens")
_FAMILIES: Mapping[str, NoiseTable] = {
    **dict.fromkeys(("bart", "mbart", "marian", "pegasus", "blenderbot", "m2m_100"), _BART),
    **dict.fromkeys(("t5", "mt5"), _places("dropout", "net.*.embed_tokens")),
}
"""The noise of each family, whose own dropout is in functions or in modules."""

WRITER_NOISES = tuple(_BART)


def writer_family(checkpoint: str) -> str:
    """The family of a checkpoint; `TaskError` for one whose places of noise are not known."""
    library_class = transformers_library(checkpoint).AutoConfig
    family = load_pretrained(checkpoint, library_class.from_pretrained).model_type
    if family not in _FAMILIES:
        raise TaskError(
            f"{excerpt(checkpoint)} is a model of the family {excerpt(family)}, which does not "
            "write one text "
            f"from another, or whose dropout is not known here\n  known: {', '.join(_FAMILIES)}"
        )
    return family


def writer_plan(family: str, noise: str, rate: float) -> Plan:
    """The plan of one kind of noise in a pretrained encoder and decoder.

    >>> writer_plan("t5", "words", 0.1).rules
    (rule('net.*.embed_tokens', WordDropout(rate=0.1)),)

    Args:
        family: of the model: `writer_family` of a checkpoint.
        noise: `dropout` wherever the model has dropout of its own, and in attention, whose fused
            kernel stays; `locked` (one mask for all tokens of a text) and `words` (token types) on
            both tables of words.
        rate: probability of dropping, the same everywhere.

    Raises:
        TaskError: the noise is none of these.
    """
    return plan_for_noise(_FAMILIES[family], noise, rate, f"a pretrained {family}")
