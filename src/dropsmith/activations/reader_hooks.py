"""The hooks on a model whose blocks are read, which report to an observer.

Where a checkpointed block is run again for backward, nothing is reported a second time.
"""

from typing import Any, Protocol

from torch import nn

from dropsmith.activations.attention import AttentionRecord, record_of, record_of_dropout
from dropsmith.activations.transformer_blocks import BlockCandidate
from dropsmith.interception import NoisyCall
from dropsmith.noise import in_backward


class BlockObserver(Protocol):
    """The observer to which the hooks report."""

    def begin(self, candidate: BlockCandidate) -> None:
        """A candidate starts to run."""

    def end(self, candidate: BlockCandidate, output: Any) -> None:
        """It has run."""

    def feed_forward(self, name: str, output: Any) -> None:
        """A module that ends the feed-forward part of some candidate has run."""

    def attention(self, owner: str, record: AttentionRecord | None) -> None:
        """A module has made an attention call, or, without a record, some other call."""


class _CandidateHook:
    def __init__(self, observer: BlockObserver, candidate: BlockCandidate) -> None:
        self.observer, self.candidate = observer, candidate


class BeginBlock(_CandidateHook):
    """A hook before a candidate runs."""

    def __call__(self, module: nn.Module, args: Any) -> None:
        if not in_backward():
            self.observer.begin(self.candidate)


class EndBlock(_CandidateHook):
    """A hook after a candidate has run."""

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if not in_backward():
            self.observer.end(self.candidate, output)


class _NameHook:
    def __init__(self, observer: BlockObserver, name: str) -> None:
        self.observer, self.name = observer, name


class EndFeedForward(_NameHook):
    """A hook after the last projection of a feed-forward part."""

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if not in_backward():
            self.observer.feed_forward(self.name, output)


class BeginDropout(_NameHook):
    """A hook before a dropout module, which may be given probabilities."""

    def __call__(self, module: nn.Module, args: Any) -> None:
        if args and not in_backward():
            self.observer.attention(self.name, record_of_dropout(args[0]))


class CallHandle(_NameHook):
    """Reports the noisy calls of one module and lets them go on to whatever is below."""

    def __call__(self, call: NoisyCall) -> Any:
        if not in_backward():
            self.observer.attention(self.name, record_of(call))
        return call.run()
