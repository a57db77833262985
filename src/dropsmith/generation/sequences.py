"""Sequences that a model wrote under noise, as a value."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Generation:
    """Sequences that a model wrote: of each prompt one for each sample of its noise.

    Args:
        tokens: `[samples, batch, time]`, without the prompt.
        log_probs: the log-probability of each token, in nats, given those before it and the mask
            of its sequence; shaped alike, 0 after the end. It is the model's own, before
            temperature and other changes of the scores.
        mask: True for the tokens of a sequence, up to the one that ends it; shaped alike.
    """

    tokens: Tensor
    log_probs: Tensor
    mask: Tensor

    @property
    def samples(self) -> int:
        """How many sequences each prompt has."""
        return len(self.tokens)

    @property
    def lengths(self) -> Tensor:
        """How many tokens each sequence has, `[samples, batch]`."""
        return self.mask.sum(-1)

    @property
    def sequence_log_probs(self) -> Tensor:
        """The log-probability of each sequence under the mask that it was written by."""
        return self.log_probs.sum(-1)

    @property
    def mean_log_probs(self) -> Tensor:
        """The log-probability of each sequence, divided by its tokens."""
        return self.sequence_log_probs / self.lengths.clamp(min=1)

    def texts(self, tokenizer: Any) -> list[list[str]]:
        """The texts of each prompt, one for each sample.

        Args:
            tokenizer: of transformers.
        """
        rows = self.tokens.transpose(0, 1).cpu(), self.mask.transpose(0, 1).cpu()
        return [
            [
                tokenizer.decode(tokens[kept], skip_special_tokens=True)
                for tokens, kept in zip(of_prompt, masks, strict=True)
            ]
            for of_prompt, masks in zip(*rows, strict=True)
        ]


def join_samples(parts: list[Generation], pad: int | None) -> Generation:
    """The samples of several parts, whose sequences may be of other lengths."""
    length = max(part.tokens.shape[-1] for part in parts)
    fills = {"tokens": pad or 0, "log_probs": 0.0, "mask": False}
    return Generation(
        **{
            name: torch.cat([_filled(getattr(part, name), length, fill) for part in parts])
            for name, fill in fills.items()
        }
    )


def _filled(values: Tensor, length: int, fill: float) -> Tensor:
    missing = length - values.shape[-1]
    return torch.nn.functional.pad(values, (0, missing), value=fill) if missing else values
