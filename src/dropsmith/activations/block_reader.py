"""The reader of Transformer blocks: its hooks, and the runs that they record in one forward."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.hooks import RemovableHandle

from dropsmith.activations.attention import AttentionRecord
from dropsmith.activations.block_outputs import Layer, Reads, no_blocks, of_attention
from dropsmith.activations.block_runs import (
    BlockLocations,
    BlockRun,
    forget_locations,
    known_locations,
    possible_locations,
    remember_locations,
)
from dropsmith.activations.reader_hooks import (
    BeginBlock,
    BeginDropout,
    CallHandle,
    EndBlock,
    EndFeedForward,
)
from dropsmith.activations.transformer_blocks import (
    BlockCandidate,
    below,
    blocks_among,
    ends_with_attention,
)
from dropsmith.batches import leading_tensor
from dropsmith.errors import SiteError
from dropsmith.interception import DetachedHooks, OwnCalls
from dropsmith.noise import owner_module
from dropsmith.plans import ROOT


def never() -> bool:
    """Return False: each pass belongs to one view from its first module on."""
    return False


class Reader:
    """The hooks of one forward, or of many, one after the other.

    Args:
        model: the root.
        reads: what is wanted.
        in_forward: whether the root's own forward has begun, so that its hooks are left alone.
        below: whether the module that runs now runs once for several views.
    """

    def __init__(
        self,
        model: nn.Module,
        reads: Reads,
        in_forward: bool = False,
        below: Callable[[], bool] = never,
    ) -> None:
        self.model, self.reads, self.in_forward, self.below = model, reads, in_forward, below
        self.locations = known_locations(model, reads.blocks)
        locations = self.locations or possible_locations(model, reads.blocks)
        self.candidates, self.owners = locations.candidates, locations.owners
        self.handles: list[RemovableHandle] = []
        self.own_calls: list[OwnCalls] = []
        self.detached_hooks: DetachedHooks | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self.open_runs: list[BlockRun] = []
        self.runs: list[BlockRun] = []
        self.without_graph: dict[str, SiteError] = {}
        self.with_grad = torch.is_grad_enabled()

    @property
    def is_reusable(self) -> bool:
        """Say whether the next forward can be read by the same hooks: they are on known blocks."""
        if self.locations is None:
            return False
        return known_locations(self.model, self.reads.blocks) is self.locations

    def open(self) -> None:
        """Hook every place that may be a block, and every module that may attend."""
        self._begin_anew()
        if self.detached_hooks is None:
            self._hook()
        else:
            self.detached_hooks.reattach()
            self.detached_hooks = None
        if self.in_forward:
            for candidate in self.candidates:
                if candidate.name == ROOT:
                    self.begin(candidate)

    def _hook(self) -> None:
        for candidate in self.candidates:
            if candidate.feed is not None and self.reads.hidden == "feed-forward":
                feed = owner_module(self.model, candidate.feed)
                self.handles.append(
                    feed.register_forward_hook(EndFeedForward(self, candidate.feed))
                )
            if self.in_forward and candidate.name == ROOT:
                continue
            module = owner_module(self.model, candidate.name)
            self.handles.append(module.register_forward_pre_hook(BeginBlock(self, candidate)))
            self.handles.append(module.register_forward_hook(EndBlock(self, candidate)))
        for owner in self.owners:
            module = owner_module(self.model, owner)
            if self.in_forward and owner == ROOT:
                continue
            if isinstance(module, _DropoutNd):
                self.handles.append(module.register_forward_pre_hook(BeginDropout(self, owner)))
            else:
                self.own_calls.append(OwnCalls(module, CallHandle(self, owner)))
                self.own_calls[-1].attach()

    def close(self) -> None:
        """Take all hooks off."""
        if self.detached_hooks is None:
            self.detached_hooks = DetachedHooks(
                [*self.handles, *(handle for calls in self.own_calls for handle in calls.handles)]
            )

    def finish(self, output: Any = None) -> tuple[Layer, ...]:
        """Return the layers that were read, after the forward, which has returned `output`."""
        if self.in_forward and self.open_runs:
            self.end(self.open_runs[-1].candidate, output)
        self._leave_out_other_dropout()
        owners = list(dict.fromkeys(owner for run in self.runs for owner, _ in run.attention))
        blocks = set(self._blocks(owners))
        runs = self.runs
        self._begin_anew()  # nothing that was read is kept until the next forward
        try:
            return tuple(r.layer(self.model, self.reads) for r in runs if r.candidate in blocks)
        except SiteError:
            forget_locations(self.model)
            raise

    def _blocks(self, owners: Sequence[str]) -> list[BlockCandidate]:
        """The blocks among the candidates that ran, by the modules in which attention ran."""
        ran = list(dict.fromkeys(run.candidate for run in self.runs))
        by_name = self.locations is not None or self.reads.blocks is not None
        blocks = blocks_among(self.model, ran, owners, by_name)
        if not blocks:
            raise no_blocks(self.model, owners)
        if self.reads.hidden == "feed-forward" and self.locations is None:
            for block in blocks:
                if ends_with_attention(self.model, block, owners):
                    raise of_attention(block.name, block.feed)
        self._remember(blocks, owners)
        return blocks

    def _leave_out_other_dropout(self) -> None:
        """Leave out inputs of dropout that are no attention."""
        for run in self.runs:
            run.attention = [(name, record) for name, record in run.attention if record.attends]
            if owners := self.without_graph.keys() & {name for name, _ in run.attention}:
                raise self.without_graph[min(owners)]

    def _remember(self, blocks: Sequence[BlockCandidate], owners: Sequence[str]) -> None:
        """Remember the blocks, unless one was skipped and did not show where its attention runs."""
        stacks = {block.stack for block in blocks}
        beside = {other for other in self.candidates if other.stack in stacks}
        if self.locations is None and beside <= {run.candidate for run in self.runs}:
            inside = [owner for owner in owners if any(below(owner, b.name) for b in blocks)]
            locations = BlockLocations(tuple(blocks), tuple(inside))
            remember_locations(self.model, self.reads.blocks, locations)

    def begin(self, candidate: BlockCandidate) -> None:
        """Note that a candidate starts to run."""
        self.open_runs.append(BlockRun(candidate))

    def end(self, candidate: BlockCandidate, output: Any) -> None:
        """Note that a candidate has run."""
        run = self.open_runs.pop()
        if self.reads.hidden is not None:
            run.hidden = self._with_graph(leading_tensor(output, candidate.name), candidate.name)
        if self.reads.hidden == "block":
            run.shared_hidden = self.below()
        self.runs.append(run)

    def feed_forward(self, name: str, output: Any) -> None:
        """Note the output of the feed-forward part of the candidates that run now."""
        for run in self.open_runs:
            if run.candidate.feed == name:
                run.feed = self._with_graph(leading_tensor(output, name), name)
                run.shared_hidden = self.below()

    def attention(self, owner: str, record: AttentionRecord | None) -> None:
        """Note a call that is attention, or may prove to be, in all candidates that run now."""
        if record is None:
            return
        if (error := self._missing_graph(owner)) is not None:
            self.without_graph[owner] = error
        for run in self.open_runs:
            run.attention.append((owner, record))
            if self.below():
                run.shared_attention.append(owner)

    def _with_graph(self, value: Tensor, name: str) -> Tensor:
        if (error := self._missing_graph(name)) is not None:
            raise error
        return value

    def _missing_graph(self, name: str) -> SiteError | None:
        if not self.with_grad or torch.is_grad_enabled():
            return None
        return SiteError(
            f"{name!r} runs without gradients inside a forward with them, so what is read "
            "there has no graph\n  checkpoint with use_reentrant=False"
        )
