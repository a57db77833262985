"""What is read of a model's Transformer blocks, as values."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from dropsmith.kernels.attention_divergence import AttentionInputs

HiddenAt = Literal["block", "feed-forward"]


@dataclass(frozen=True, kw_only=True)
class Reads:
    """What is to be read of every Transformer block.

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
    """What was read of one block in one forward.

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
    attention: tuple[tuple[str, AttentionInputs | Tensor], ...]
    shared_hidden: bool = False
    shared_attention: tuple[str, ...] = ()
