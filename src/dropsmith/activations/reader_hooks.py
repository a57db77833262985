"""What hangs on a model while its blocks are read, and tells the reader what it sees.

Where a checkpointed block is run again for backward, nothing is told a second time.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from dropsmith.activations.attention import Seen, seen_before_dropout, seen_in
from dropsmith.activations.transformer_blocks import BlockCandidate
from dropsmith.interception import DROPOUTS, Torch
from dropsmith.noise import in_backward


class Told(Protocol):
    """Who reads."""

    def begin(self, place: BlockCandidate) -> None:
        """A place starts to run."""

    def end(self, place: BlockCandidate, output: Any) -> None:
        """It has run."""

    def fed(self, name: str, output: Any) -> None:
        """A module that ends the feed-forward part of some place has run."""

    def attends(self, owner: str, seen: Seen | None) -> None:
        """A module has made an attention call, or another one, of which nothing is seen."""


class _Hook:
    def __init__(self, reader: Told, place: BlockCandidate) -> None:
        self.reader, self.place = reader, place


class Begin(_Hook):
    def __call__(self, module: nn.Module, args: Any) -> None:
        if not in_backward():
            self.reader.begin(self.place)


class End(_Hook):
    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if not in_backward():
            self.reader.end(self.place, output)


class Fed:
    def __init__(self, reader: Told, name: str) -> None:
        self.reader, self.name = reader, name

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if not in_backward():
            self.reader.fed(self.name, output)


class Given:
    def __init__(self, reader: Told, owner: str) -> None:
        self.reader, self.owner = reader, owner

    def __call__(self, module: nn.Module, args: Any) -> None:
        if args and not in_backward():
            self.reader.attends(self.owner, seen_before_dropout(args[0]))


class Handle:
    """Looks at the calls of one module and lets them go on to whatever is below."""

    def __init__(self, reader: Told, owner: str) -> None:
        self.reader, self.owner = reader, owner

    def __call__(self, func: Torch, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not in_backward():
            if func in DROPOUTS:
                x = args[0] if args else kwargs["input"]
                self.reader.attends(self.owner, seen_before_dropout(x))
            else:
                self.reader.attends(self.owner, seen_in(func, args, kwargs))
        return func(*args, **kwargs)
