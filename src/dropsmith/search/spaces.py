"""Spaces made from a model: which of its sites may drop something, and what."""

from typing import Any

from torch import nn

from dropsmith.errors import SearchError
from dropsmith.noise import sites
from dropsmith.plans import Selector, select
from dropsmith.search.conv_space import ConvSpace, ConvTokens
from dropsmith.search.group import Tied, check_tied
from dropsmith.search.maps import SHORTCUTS, maps
from dropsmith.search.sequence_space import SequenceSpace, SequenceTokens
from dropsmith.search.sublayers import blocks_of, sublayers


def conv(
    model: nn.Module,
    batch: Any,
    *,
    tokens: ConvTokens | None = None,
    where: str | Selector = "**",
    tied: Tied = "resolution",
    shortcuts: tuple[str, ...] = SHORTCUTS,
) -> ConvSpace:
    """The plans that drop blocks and tilings of a convolutional network's maps.

    Noise goes after normalisation where a map is normalised, else after each convolution. Maps of
    1 × 1 have nothing to tile and are left out.

    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2))
    >>> space = conv(net, torch.zeros(2, 1, 9, 9))
    >>> [choice.name for choice in space.choices[:3]]
    ['9x9.size', '9x9.stride', '9x9.repeat']
    >>> space.plan((1,) * len(space.choices)).rules[1].pattern
    Blocks(rate=0.1111111111111111, size=1, shared='channel')

    Args:
        model: any model; it is run to find its maps, and left as it was.
        batch: what it takes.
        tokens: what may be chosen; `ConvTokens()` where it is None.
        where: the sites that may be chosen at all.
        tied: whether layers whose maps have one height and width are decided about together.
        shortcuts: names of the modules that stand beside a layer.

    Raises:
        SearchError: the model has no such maps.
    """
    check_tied(tied)
    table = tokens or ConvTokens()
    found = sites(model, batch)
    groups = list(maps(model, found, _selector(where), tied, shortcuts))
    if not groups:
        raise SearchError(
            f"no map of a convolution was found in {type(model).__name__}, among "
            f"{len(found)} sites\n  a Transformer has a space too: spaces.sequence(model, batch)"
        )
    return ConvSpace(tuple(c for group in groups for c in table.choices(group)), tuple(groups))


def sequence(
    model: nn.Module,
    batch: Any,
    *,
    tokens: SequenceTokens | None = None,
    where: str | Selector = "**",
    tied: Tied = "resolution",
    blocks: str | None = None,
) -> SequenceSpace:
    """The plans that drop runs of steps at the sub-layers of a model's Transformer blocks.

    Sub-layers are the projections of a block, attention whose projections cannot be seen
    (`nn.MultiheadAttention`), and what the block returns, which is called `block`.

    >>> import torch
    >>> net = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> space = sequence(net, torch.zeros(2, 5, 8))
    >>> [group.name for group in space.groups]
    ['self_attn', 'linear1', 'linear2']

    Args:
        model: any model; it is run to find its blocks, and left as it was.
        batch: what it takes.
        tokens: what may be chosen; `SequenceTokens()` where it is None.
        where: the sites that may be chosen at all.
        tied: whether one sub-layer is decided about in all blocks of a stack together.
        blocks: which modules are blocks, by name or glob; None to find them by their attention.

    Raises:
        SearchError: nothing in the blocks has the axes batch, time and unit, or none may be chosen.
        SiteError: no Transformer block was found.
    """
    check_tied(tied)
    table = tokens or SequenceTokens()
    found = sites(model, batch)
    layers = blocks_of(model, batch, blocks)
    groups = list(sublayers(model, found, layers, _selector(where), tied))
    if not groups:
        raise SearchError(
            f"no sub-layer to choose in the blocks of {type(model).__name__}: "
            f"{' '.join(layer.name for layer in layers)}\n"
            "  its projections must return the axes batch, time and unit"
        )
    choices = tuple(choice for group in groups for choice in table.choices(group))
    return SequenceSpace(choices, tuple(groups))


def _selector(where: str | Selector) -> Selector:
    return select(where) if isinstance(where, str) else where
