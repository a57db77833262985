"""The outputs that are read of a model's Transformer blocks, as values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from dropsmith.errors import SiteError
from dropsmith.kernels import attention_divergence

HiddenAt = Literal["block", "feed-forward"]


@dataclass(frozen=True, kw_only=True)
class Reads:
    """A choice of the outputs to read of every Transformer block.

    Args:
        hidden: the states the block returns, or those its feed-forward part returns, before they
            are dropped, added or normalised; None for neither.
        attention: whether attention must be there to be read.
        blocks: which modules are blocks, by name or glob; None to find them.
    """

    hidden: HiddenAt | None = "block"
    attention: bool = True
    blocks: str | None = None


@dataclass(frozen=True)
class Layer:
    """The outputs of one block in one forward.

    Args:
        name: the block's.
        stack: the list it stands in: an encoder's and a decoder's layers are two.
        hidden: `[rows, time, unit]`, with its graph; None if it was not asked for.
        attention: by the module that made the call, in the order of the calls. The first of a
            block is its self-attention; others look at something else, such as an encoder.
        shared_hidden: whether its states are one for all views, for it is below a trunk's end.
        shared_attention: the modules whose attention is one for all views.
    """

    name: str
    stack: str
    hidden: Tensor | None
    attention: tuple[tuple[str, attention_divergence.AttentionInputs | Tensor], ...]
    shared_hidden: bool = False
    shared_attention: tuple[str, ...] = ()


def no_blocks(model: nn.Module, owners: Sequence[str]) -> SiteError:
    if owners:
        return SiteError(
            f"attention runs in {', '.join(owners[:3])}, but found no list of Transformer blocks"
            "\n  name the blocks, such as blocks='encoder.layer.*'"
        )
    return SiteError(
        f"found no attention in a {type(model).__name__}, so it has no Transformer blocks to read\n"
        f"  {_READABLE_ATTENTION}"
    )


def no_attention(model: nn.Module, name: str) -> SiteError:
    config = getattr(model, "config", None)
    how = getattr(config, "_attn_implementation", None)
    note = f" (this model has {how!r})" if how else ""
    return SiteError(
        f"block {name!r}: its attention cannot be read{note}, and a missing term is not agreement\n"
        f"  {_READABLE_ATTENTION}"
    )


_READABLE_ATTENTION = (
    "seen are F.scaled_dot_product_attention, nn.MultiheadAttention, and probabilities that go\n"
    "  through dropout, in code that is not compiled: load Hugging Face models with\n"
    "  attn_implementation='sdpa' or 'eager'"
)


def no_feed(
    name: str, feed: str | None, feed_states: Tensor | None, hidden: Tensor | None
) -> SiteError:
    gave = "nothing" if feed_states is None else f"{tuple(feed_states.shape)} from {feed!r}"
    wants = None if hidden is None else tuple(hidden.shape)
    return SiteError(
        f"block {name!r} does not end with a feed-forward part that can be read: its "
        f"last projection gave {gave}, the block {wants}\n  read what blocks return: "
        'hidden_at="block"'
    )


def of_attention(name: str, feed: str | None) -> SiteError:
    return SiteError(
        f"the last projection of block {name!r}, {feed!r}, is part of its attention, so its "
        'feed-forward part cannot be told\n  read what blocks return: hidden_at="block"'
    )
