"""Spaces made from a model, by its maps or its Transformer blocks, or read from JSON."""

from collections.abc import Callable
from typing import Any

from torch import nn

from dropsmith.errors import SearchError, did_you_mean, excerpt
from dropsmith.files import check
from dropsmith.noise import sites
from dropsmith.pattern_search.spaces.conv_space import ConvSpace, ConvTokens, conv_from_json
from dropsmith.pattern_search.spaces.group import Tied, check_tied
from dropsmith.pattern_search.spaces.listed_space import listed_from_json
from dropsmith.pattern_search.spaces.model_groups import (
    SHORTCUT_NAMES,
    find_blocks,
    map_groups,
    sublayer_groups,
)
from dropsmith.pattern_search.spaces.schemas import StoredSpace
from dropsmith.pattern_search.spaces.sequence_space import (
    SequenceSpace,
    SequenceTokens,
    sequence_from_json,
)
from dropsmith.pattern_search.spaces.space import FORMAT, VERSION, Choice, Space, choice_from_json
from dropsmith.plans import Selector, select


def conv(
    model: nn.Module,
    batch: Any,
    *,
    tokens: ConvTokens | None = None,
    where: str | Selector = "**",
    tied: Tied = "resolution",
    shortcuts: tuple[str, ...] = SHORTCUT_NAMES,
) -> ConvSpace:
    """The space of plans that drop blocks and tilings of a convolutional network's maps.

    Noise goes after normalisation where a map is normalised, else after each convolution. Maps of
    1 × 1 have nothing to tile and are left out.

    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2))
    >>> space = conv(net, torch.zeros(2, 1, 9, 9))
    >>> [choice.name for choice in space.choices[:3]]
    ['9x9.size', '9x9.stride', '9x9.repeat']
    >>> space.plan((1,) * len(space.choices)).rules[1].pattern
    DropBlock(rate=0.1111111111111111, size=1, shared='channel')

    Args:
        model: any model; it is run to find its maps, and left as it was.
        batch: an input of it.
        tokens: the values to choose from; `ConvTokens()` where it is None.
        where: the sites that may be chosen at all.
        tied: whether layers whose maps have one height and width are decided about together.
        shortcuts: names of the modules that stand beside a layer.

    Raises:
        SearchError: the model has no such maps.
    """
    check_tied(tied)
    table = tokens or ConvTokens()
    model_sites = sites(model, batch)
    groups = list(map_groups(model, model_sites, _selector(where), tied, shortcuts))
    if not groups:
        raise SearchError(
            f"no map of a convolution was found in {type(model).__name__}, among "
            f"{len(model_sites)} sites\n"
            "  a Transformer has a space too: spaces.sequence(model, batch)"
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
    """The space of plans that drop runs of steps at the sub-layers of a model's Transformer blocks.

    Sub-layers are the projections of a block, attention whose projections cannot be seen
    (`nn.MultiheadAttention`), and what the block returns, which is called `block`.

    >>> import torch
    >>> net = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> space = sequence(net, torch.zeros(2, 5, 8))
    >>> [group.name for group in space.groups]
    ['self_attn', 'linear1', 'linear2']

    Args:
        model: any model; it is run to find its blocks, and left as it was.
        batch: an input of it.
        tokens: the values to choose from; `SequenceTokens()` where it is None.
        where: the sites that may be chosen at all.
        tied: whether one sub-layer is decided about in all blocks of a stack together.
        blocks: which modules are blocks, by name or glob; None to find them by their attention.

    Raises:
        SearchError: nothing in the blocks has the axes batch, time and unit, or none may be chosen.
        SiteError: no Transformer block was found.
    """
    check_tied(tied)
    table = tokens or SequenceTokens()
    model_sites = sites(model, batch)
    layers = find_blocks(model, batch, blocks)
    groups = list(sublayer_groups(model, model_sites, layers, _selector(where), tied))
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


_Reader = Callable[[dict[str, Any], tuple[Choice, ...]], Space]

_SPACES: dict[str, tuple[str, _Reader]] = {
    "ConvSpace": ("groups", conv_from_json),
    "ListedSpace": ("parts", listed_from_json),
    "SequenceSpace": ("groups", sequence_from_json),
}


def space_from_json(values: Any) -> Space:
    """The space in a JSON object; `SearchError` for anything else."""
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise SearchError(f"not a space: its format is not {FORMAT!r}")
    if values.get("version") != VERSION:
        version = excerpt(values.get("version"))
        raise SearchError(
            f"the version of this space is {version}, and this dropsmith reads {VERSION}"
        )
    check(values, StoredSpace, SearchError)
    name = values["space"]
    if name not in _SPACES:
        raise SearchError(f"no space is called {excerpt(name)}" + did_you_mean(name, _SPACES))
    field, read = _SPACES[name]
    if {"groups", "parts"} & set(values) != {field}:
        raise SearchError(f"a {name} has the field {field} and no other")
    try:
        return read(values, tuple(map(choice_from_json, values["choices"])))
    except ValueError as error:
        raise SearchError(f"not a {name}\n  {error}") from None
