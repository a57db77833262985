"""Reading Transformer blocks while a model runs: hidden states, and what their attention looks at.

`taps` reads places that are named; this finds the blocks itself, in their order, as objectives
want them that compare views layer by layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.utils.hooks import RemovableHandle

from dropsmith.errors import SiteError
from dropsmith.kernels.agreeing_attention import Looks
from dropsmith.sites._site import owner_module, shown
from dropsmith.sites.attach import _first
from dropsmith.sites.blocks import Place, below, blocks_among, places
from dropsmith.sites.calls import DROPOUTS
from dropsmith.sites.looks import Seen, seen_before_dropout, seen_in
from dropsmith.sites.noise import _in_backward
from dropsmith.sites.own_calls import OwnCalls, Torch

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
    """

    name: str
    stack: str
    hidden: Tensor | None
    attention: tuple[tuple[str, Looks | Tensor], ...]


class Reading:
    """What one forward has shown so far; `layers` are there when it is over."""

    def __init__(self) -> None:
        self.layers: tuple[Layer, ...] = ()


@contextmanager
def reading(model: nn.Module, reads: Reads) -> Iterator[Reading]:
    """Read the blocks of the one forward inside a `with` block.

    The first forward of a model looks everywhere; later ones where blocks were found.

    >>> net = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> with reading(net, Reads()) as read:
    ...     y = net(torch.ones(3, 5, 8))
    >>> [(layer.name, tuple(layer.hidden.shape)) for layer in read.layers]
    [('root', (3, 5, 8))]

    Args:
        model: the root; install a plan, if any, before.
        reads: what is wanted.

    Raises:
        SiteError: no block was found, one has not shown what is wanted, or what it shows has no
            gradient because its activations are checkpointed with `use_reentrant=True`.
    """
    reader = Reader(model, reads)
    reader.open()
    try:
        yield reader.reading
        reader.finish()
    finally:
        reader.close()


@dataclass(frozen=True)
class _Found:
    """Where a model's blocks are, and in which modules their attention runs."""

    places: tuple[Place, ...]
    owners: tuple[str, ...]


_FOUND: WeakKeyDictionary[nn.Module, dict[str | None, _Found]] = WeakKeyDictionary()


@dataclass
class _Run:
    """One run of a place."""

    place: Place
    hidden: Tensor | None = None
    feed: Tensor | None = None
    attention: list[tuple[str, Seen]] = field(default_factory=list)


class Reader:
    """The hooks of one forward; `open` may be called when the forward of the root has begun."""

    def __init__(self, model: nn.Module, reads: Reads) -> None:
        self.model, self.reads, self.reading = model, reads, Reading()
        known = _FOUND.get(model, {}).get(reads.blocks)
        self.known = known
        self.places = known.places if known else tuple(places(model, reads.blocks))
        self.owners = known.owners if known else tuple(_possible(model))
        self.open_runs: list[_Run] = []
        self.runs: list[_Run] = []
        self.handles: list[RemovableHandle] = []
        self.own: list[OwnCalls] = []
        self.with_grad = torch.is_grad_enabled()

    def open(self) -> None:
        """Hook every place that may be a block, and every module that may attend."""
        for place in self.places:
            module = owner_module(self.model, place.name)
            self.handles.append(module.register_forward_pre_hook(_Begin(self, place)))
            self.handles.append(module.register_forward_hook(_End(self, place)))
            if self.reads.hidden == "feed-forward" and place.feed is not None:
                feed = owner_module(self.model, place.feed)
                self.handles.append(feed.register_forward_hook(_Fed(self, place.feed)))
            if module is self.model:
                self.begin(place)  # its own hooks before the forward may be running now
        for owner in self.owners:
            module = owner_module(self.model, owner)
            if isinstance(module, _DropoutNd):
                self.handles.append(module.register_forward_pre_hook(_Given(self, owner)))
            else:
                self.own.append(OwnCalls(module, _Handle(self, owner)))
                self.own[-1].attach()

    def close(self) -> None:
        """Take all hooks off."""
        for handle in self.handles:
            handle.remove()
        for own in self.own:
            own.detach()
        self.handles.clear()
        self.own.clear()

    def finish(self) -> tuple[Layer, ...]:
        """What was read, after the forward."""
        attended = dict.fromkeys(owner for run in self.runs for owner, _ in run.attention)
        ran = list(dict.fromkeys(run.place for run in self.runs))
        named = self.known is not None or self.reads.blocks is not None
        blocks = blocks_among(self.model, ran, attended, named)
        if not blocks:
            raise _no_blocks(self.model, list(attended))
        if self.known is None and {p for p in self.places if p.stack in _stacks(blocks)} <= set(ran):
            inside = [a for a in attended if any(below(a, block.name) for block in blocks)]
            known = _FOUND.setdefault(self.model, {})
            known[self.reads.blocks] = _Found(tuple(blocks), tuple(inside))
        chosen = set(blocks)
        self.reading.layers = tuple(self._layer(run) for run in self.runs if run.place in chosen)
        return self.reading.layers

    def begin(self, place: Place) -> None:
        """A place starts to run."""
        if not (self.open_runs and self.open_runs[-1].place is place and place.name == "root"):
            self.open_runs.append(_Run(place))

    def end(self, place: Place, output: Any) -> None:
        """It has run."""
        run = self.open_runs.pop()
        if self.reads.hidden is not None:
            run.hidden = self._kept(_first(output, place.name), place.name)
        self.runs.append(run)

    def fed(self, name: str, output: Any) -> None:
        """The feed-forward part of the places that run now has returned something."""
        for run in self.open_runs:
            if run.place.feed == name:
                run.feed = self._kept(_first(output, name), name)

    def attends(self, owner: str, seen: Seen | None) -> None:
        """An attention call in all places that run now."""
        if seen is not None:
            self._kept(None, owner)
            for run in self.open_runs:
                run.attention.append((owner, seen))

    def _kept(self, value: Tensor | None, name: str) -> Tensor | None:
        if self.with_grad and not torch.is_grad_enabled():
            raise SiteError(
                f"{name!r} runs without gradients inside a forward with them, so what is read "
                "there has no graph\n  checkpoint with use_reentrant=False"
            )
        return value

    def _layer(self, run: _Run) -> Layer:
        name = run.place.name
        hidden = run.hidden
        if self.reads.hidden == "feed-forward":
            if run.feed is None or hidden is None or run.feed.shape != hidden.shape:
                raise _no_feed(run, hidden)
            hidden = run.feed
        if self.reads.attention and not run.attention:
            _FOUND.pop(self.model, None)
            raise _no_attention(self.model, name)
        attention = tuple((owner, seen()) for owner, seen in run.attention)
        return Layer(name, run.place.stack, hidden, attention)


def _stacks(blocks: Sequence[Place]) -> set[str]:
    return {block.stack for block in blocks}


def _possible(model: nn.Module) -> Iterator[str]:
    """The modules that may attend, or drop what attends: not torch's own layers but those."""
    own = (nn.MultiheadAttention, _DropoutNd)
    for name, module in model.named_modules():
        if isinstance(module, own) or not type(module).__module__.startswith("torch.nn.modules."):
            yield shown(name)


def _no_blocks(model: nn.Module, attended: Sequence[str]) -> SiteError:
    if attended:
        return SiteError(
            f"attention runs in {', '.join(attended[:3])}, but found no list of Transformer blocks"
            "\n  name the blocks, such as blocks='encoder.layer.*'"
        )
    return SiteError(
        f"found no attention in a {type(model).__name__}, so it has no Transformer blocks to read\n"
        f"  {_SEEN}"
    )


def _no_attention(model: nn.Module, name: str) -> SiteError:
    config = getattr(model, "config", None)
    how = getattr(config, "_attn_implementation", None)
    given = f" (this model has {how!r})" if how else ""
    return SiteError(
        f"block {name!r} showed no attention{given}, and nothing must not pass for agreement\n"
        f"  {_SEEN}"
    )


_SEEN = (
    "seen are F.scaled_dot_product_attention, nn.MultiheadAttention, and probabilities that go\n"
    "  through dropout, in code that is not compiled: load Hugging Face models with\n"
    "  attn_implementation='sdpa' or 'eager'"
)


def _no_feed(run: _Run, hidden: Tensor | None) -> SiteError:
    found = "nothing" if run.feed is None else f"{tuple(run.feed.shape)} from {run.place.feed!r}"
    wants = None if hidden is None else tuple(hidden.shape)
    return SiteError(
        f"block {run.place.name!r} does not end with a feed-forward part that can be read: its "
        f"last projection gave {found}, the block {wants}\n  read what blocks return: "
        'hidden_at="block"'
    )


class _Hook:
    def __init__(self, reader: Reader, place: Place) -> None:
        self.reader, self.place = reader, place


class _Begin(_Hook):
    def __call__(self, module: nn.Module, args: Any) -> None:
        if not _in_backward():
            self.reader.begin(self.place)


class _End(_Hook):
    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if not _in_backward():
            self.reader.end(self.place, output)


class _Fed:
    def __init__(self, reader: Reader, name: str) -> None:
        self.reader, self.name = reader, name

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        if not _in_backward():
            self.reader.fed(self.name, output)


class _Given:
    def __init__(self, reader: Reader, owner: str) -> None:
        self.reader, self.owner = reader, owner

    def __call__(self, module: nn.Module, args: Any) -> None:
        if args and not _in_backward():
            self.reader.attends(self.owner, seen_before_dropout(args[0]))


class _Handle:
    """Looks at the calls of one module and lets them go on to whatever is below."""

    def __init__(self, reader: Reader, owner: str) -> None:
        self.reader, self.owner = reader, owner

    def __call__(self, func: Torch, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if not _in_backward():
            if func in DROPOUTS:
                x = args[0] if args else kwargs["input"]
                self.reader.attends(self.owner, seen_before_dropout(x))
            else:
                self.reader.attends(self.owner, seen_in(func, args, kwargs))
        return func(*args, **kwargs)
