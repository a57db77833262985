"""Runs of Transformer blocks in one forward, and the memory of where a model's blocks are."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from dropsmith.activations.attention import AttentionRecord
from dropsmith.activations.block_outputs import Layer, Reads, no_attention, no_feed
from dropsmith.activations.transformer_blocks import BlockCandidate, block_candidates, time_first
from dropsmith.noise import owner_module, structure_version
from dropsmith.plans import display_name


@dataclass(frozen=True)
class BlockLocations:
    """The blocks of a model, and the modules in which their attention runs."""

    candidates: tuple[BlockCandidate, ...]
    owners: tuple[str, ...]


_LOCATIONS: WeakKeyDictionary[nn.Module, tuple[int, dict[str | None, BlockLocations]]] = (
    WeakKeyDictionary()
)
"""The locations of a model's blocks by what was asked for, and the version of its structure."""


def known_locations(model: nn.Module, blocks: str | None) -> BlockLocations | None:
    """The locations of a model's blocks, if they were found; none where its modules have changed.

    Args:
        model: the root.
        blocks: the name of the list of blocks that was asked for, if any.
    """
    version, by_blocks = _LOCATIONS.get(model, (0, {}))
    return by_blocks.get(blocks) if version == structure_version(model) else None


def remember_locations(model: nn.Module, blocks: str | None, locations: BlockLocations) -> None:
    """Remember where the blocks of a model are."""
    version, by_blocks = structure_version(model), {}
    if model in _LOCATIONS and _LOCATIONS[model][0] == version:
        by_blocks = _LOCATIONS[model][1]
    _LOCATIONS[model] = version, {**by_blocks, blocks: locations}


def forget_locations(model: nn.Module) -> None:
    """Let the blocks of a model be looked for anew."""
    _LOCATIONS.pop(model, None)


def possible_locations(model: nn.Module, blocks: str | None) -> BlockLocations:
    """All modules that may be blocks, or those that `blocks` names, and all that may attend."""
    owners = tuple(_possible_owners(model))
    return BlockLocations(tuple(block_candidates(model, blocks)), owners)


def _possible_owners(model: nn.Module) -> Iterator[str]:
    """The modules that may attend or may drop probabilities; of torch's own layers no others."""
    torchs = (nn.MultiheadAttention, _DropoutNd)
    for name, module in model.named_modules():
        if isinstance(module, torchs) or not type(module).__module__.startswith(
            "torch.nn.modules."
        ):
            yield display_name(name)


@dataclass
class BlockRun:
    """One run of a candidate."""

    candidate: BlockCandidate
    hidden: Tensor | None = None
    feed: Tensor | None = None
    attention: list[tuple[str, AttentionRecord]] = field(default_factory=list)
    shared_hidden: bool = False
    shared_attention: list[str] = field(default_factory=list)

    def layer(self, model: nn.Module, reads: Reads) -> Layer:
        """The outputs that are wanted of the run; `SiteError` where it has not shown them."""
        name, hidden = self.candidate.name, self._hidden(model, reads)
        if reads.attention and not self.attention:
            raise no_attention(model, name)
        attention = tuple((owner, record.value()) for owner, record in self.attention)
        shared = self.shared_hidden, tuple(self.shared_attention)
        return Layer(name, self.candidate.stack, hidden, attention, *shared)

    def _hidden(self, model: nn.Module, reads: Reads) -> Tensor | None:
        """The states that are wanted of a block; rows first where time is known to be."""
        name, hidden = self.candidate.name, self.hidden
        if reads.hidden == "feed-forward":
            # Rows may differ where views part between the two.
            if self.feed is None or hidden is None or self.feed.shape[1:] != hidden.shape[1:]:
                raise no_feed(name, self.candidate.feed, self.feed, hidden)
            hidden = self.feed
        if hidden is None or hidden.ndim != 3 or not time_first(owner_module(model, name)):
            return hidden
        return hidden.transpose(0, 1)
