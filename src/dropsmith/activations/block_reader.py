"""The hooks that read a model's Transformer blocks in one forward, and what they have seen."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.hooks import RemovableHandle

from dropsmith.activations.attention import BeforeDropout, Seen
from dropsmith.activations.block_outputs import (
    Layer,
    Reads,
    no_attention,
    no_blocks,
    no_feed,
    of_attention,
)
from dropsmith.activations.reader_hooks import Begin, End, Fed, Given, Handle
from dropsmith.activations.transformer_blocks import (
    BlockCandidate,
    below,
    blocks_among,
    ends_with_attention,
    places,
    time_first,
)
from dropsmith.batches import leading_tensor
from dropsmith.errors import SiteError
from dropsmith.interception import DetachedHooks, OwnCalls
from dropsmith.noise import owner_module
from dropsmith.plans import ROOT, shown


@dataclass(frozen=True)
class _Found:
    """Where a model's blocks are, and in which modules their attention runs."""

    places: tuple[BlockCandidate, ...]
    owners: tuple[str, ...]


_FOUND: WeakKeyDictionary[nn.Module, dict[str | None, _Found]] = WeakKeyDictionary()


@dataclass
class _Run:
    """One run of a place."""

    place: BlockCandidate
    hidden: Tensor | None = None
    feed: Tensor | None = None
    attention: list[tuple[str, Seen]] = field(default_factory=list)
    shared_hidden: bool = False
    shared_attention: list[str] = field(default_factory=list)


def never() -> bool:
    """Each pass is a view's own from the first module on."""
    return False


class Reader:
    """The hooks of one forward, or of many, one after the other.

    Args:
        model: the root.
        reads: what is wanted.
        begun: whether the root's own forward has begun, so that its hooks must be left alone.
        below: whether what runs now is one for several views.
    """

    def __init__(
        self,
        model: nn.Module,
        reads: Reads,
        begun: bool = False,
        below: Callable[[], bool] = never,
    ) -> None:
        self.model, self.reads, self.begun, self.below = model, reads, begun, below
        known = _FOUND.get(model, {}).get(reads.blocks)
        self.known = known
        self.places = known.places if known else tuple(places(model, reads.blocks))
        self.owners = known.owners if known else tuple(_possible(model))
        self.handles: list[RemovableHandle] = []
        self.own: list[OwnCalls] = []
        self.hung: DetachedHooks | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.open_runs: list[_Run] = []
        self.runs: list[_Run] = []
        self.lost: dict[str, SiteError] = {}
        self.with_grad = torch.is_grad_enabled()

    @property
    def settled(self) -> bool:
        """Whether it knew where to look, so that the next forward can be read by the same hooks."""
        return self.known is not None and _FOUND.get(self.model, {}).get(self.reads.blocks) is (
            self.known
        )

    def open(self) -> None:
        """Hook every place that may be a block, and every module that may attend."""
        self._begin_anew()
        if self.hung is None:
            self._hook()
        else:
            self.hung.reattach()
            self.hung = None
        if self.begun:
            for place in self.places:
                if place.name == ROOT:
                    self.begin(place)

    def _hook(self) -> None:
        for place in self.places:
            if place.feed is not None and self.reads.hidden == "feed-forward":
                feed = owner_module(self.model, place.feed)
                self.handles.append(feed.register_forward_hook(Fed(self, place.feed)))
            if self.begun and place.name == ROOT:
                continue
            module = owner_module(self.model, place.name)
            self.handles.append(module.register_forward_pre_hook(Begin(self, place)))
            self.handles.append(module.register_forward_hook(End(self, place)))
        for owner in self.owners:
            module = owner_module(self.model, owner)
            if self.begun and owner == ROOT:
                continue
            if isinstance(module, _DropoutNd):
                self.handles.append(module.register_forward_pre_hook(Given(self, owner)))
            else:
                self.own.append(OwnCalls(module, Handle(self, owner)))
                self.own[-1].attach()

    def close(self) -> None:
        """Take all hooks off."""
        if self.hung is None:
            self.hung = DetachedHooks(
                [*self.handles, *(handle for own in self.own for handle in own.handles)]
            )

    def finish(self, output: Any = None) -> tuple[Layer, ...]:
        """What was read, after the forward, which has returned `output`."""
        if self.begun and self.open_runs:
            self.end(self.open_runs[-1].place, output)
        self._sort_out()
        attended = dict.fromkeys(owner for run in self.runs for owner, _ in run.attention)
        ran = list(dict.fromkeys(run.place for run in self.runs))
        named = self.known is not None or self.reads.blocks is not None
        blocks = blocks_among(self.model, ran, attended, named)
        if not blocks:
            raise no_blocks(self.model, list(attended))
        if self.reads.hidden == "feed-forward" and self.known is None:
            for place in blocks:
                if ends_with_attention(self.model, place, attended):
                    raise of_attention(place.name, place.feed)
        self._remember(blocks, list(attended))
        chosen, runs = set(blocks), self.runs
        self._begin_anew()  # nothing that was read is kept until the next forward
        return tuple(self._layer(run) for run in runs if run.place in chosen)

    def _sort_out(self) -> None:
        """Leave out what dropout was given that is no attention."""
        for run in self.runs:
            run.attention = [(name, seen) for name, seen in run.attention if _is_attention(seen)]
            if lost := self.lost.keys() & {name for name, _ in run.attention}:
                raise self.lost[min(lost)]

    def _remember(self, blocks: Sequence[BlockCandidate], attended: Sequence[str]) -> None:
        """Where to look next time, unless a block was skipped and has not shown its attention."""
        stacks = {block.stack for block in blocks}
        beside = {place for place in self.places if place.stack in stacks}
        if self.known is None and beside <= {run.place for run in self.runs}:
            inside = [one for one in attended if any(below(one, block.name) for block in blocks)]
            known = _FOUND.setdefault(self.model, {})
            known[self.reads.blocks] = _Found(tuple(blocks), tuple(inside))

    def begin(self, place: BlockCandidate) -> None:
        """A place starts to run."""
        self.open_runs.append(_Run(place))

    def end(self, place: BlockCandidate, output: Any) -> None:
        """It has run."""
        run = self.open_runs.pop()
        if self.reads.hidden is not None:
            run.hidden = self._kept(leading_tensor(output, place.name), place.name)
        if self.reads.hidden == "block":
            run.shared_hidden = self.below()
        self.runs.append(run)

    def fed(self, name: str, output: Any) -> None:
        """The feed-forward part of the places that run now has returned something."""
        for run in self.open_runs:
            if run.place.feed == name:
                run.feed = self._kept(leading_tensor(output, name), name)
                run.shared_hidden = self.below()

    def attends(self, owner: str, seen: Seen | None) -> None:
        """An attention call in all places that run now, or what may prove to be one."""
        if seen is not None:
            if (error := self._without_graph(owner)) is not None:
                self.lost[owner] = error
            for run in self.open_runs:
                run.attention.append((owner, seen))
                if self.below():
                    run.shared_attention.append(owner)

    def _kept(self, value: Tensor, name: str) -> Tensor:
        if (error := self._without_graph(name)) is not None:
            raise error
        return value

    def _without_graph(self, name: str) -> SiteError | None:
        if not self.with_grad or torch.is_grad_enabled():
            return None
        return SiteError(
            f"{name!r} runs without gradients inside a forward with them, so what is read "
            "there has no graph\n  checkpoint with use_reentrant=False"
        )

    def _layer(self, run: _Run) -> Layer:
        name, hidden = run.place.name, self._hidden(run)
        if self.reads.attention and not run.attention:
            _FOUND.pop(self.model, None)
            raise no_attention(self.model, name)
        attention = tuple((owner, seen()) for owner, seen in run.attention)
        shared = run.shared_hidden, tuple(run.shared_attention)
        return Layer(name, run.place.stack, hidden, attention, *shared)

    def _hidden(self, run: _Run) -> Tensor | None:
        """The states that are wanted of a block; rows first where time is known to be."""
        name, hidden = run.place.name, run.hidden
        if self.reads.hidden == "feed-forward":
            # Rows may differ where views part between the two.
            if run.feed is None or hidden is None or run.feed.shape[1:] != hidden.shape[1:]:
                raise no_feed(name, run.place.feed, run.feed, hidden)
            hidden = run.feed
        if hidden is None or hidden.ndim != 3 or not time_first(owner_module(self.model, name)):
            return hidden
        return hidden.transpose(0, 1)


def _is_attention(seen: Seen) -> bool:
    return not isinstance(seen, BeforeDropout) or seen.attention


def _possible(model: nn.Module) -> Iterator[str]:
    """The modules that may attend, or drop what attends: not torch's own layers but those."""
    own = (nn.MultiheadAttention, _DropoutNd)
    for name, module in model.named_modules():
        if isinstance(module, own) or not type(module).__module__.startswith("torch.nn.modules."):
            yield shown(name)
