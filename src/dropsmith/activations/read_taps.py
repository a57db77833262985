"""Taps: hidden states and attention probabilities before any dropout, read while a model runs."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dropsmith.activations.attention import sums_to_one
from dropsmith.batches import leading_tensor
from dropsmith.errors import SiteError, excerpt
from dropsmith.instances import check_model, check_type
from dropsmith.interception import NoisyCall, OwnCalls, fast_path_disabled, probabilities
from dropsmith.noise import in_backward, owner_module, possible_calls, static_sites
from dropsmith.plans import Selector, Site, nearest


@dataclass(eq=False)
class Taps:
    """The readings of the last forward, by site, each tensor with its graph.

    A site that ran several times in it has its later tensors under `name#1`, `name#2`, and so on.

    Args:
        hidden: what modules passed on, with the noise of a plan that was there before the taps.
        attention: probabilities `[batch, head, time, time]`, or with the heads folded into the
            batch where the model has them so; rows sum to one, or to zero where a query may look
            nowhere.
    """

    hidden: dict[str, Tensor] = field(default_factory=dict)
    attention: dict[str, Tensor] = field(default_factory=dict)


@contextmanager
def taps(
    model: nn.Module,
    hidden: str | Selector | None = None,
    attention: str | Selector | None = None,
) -> Iterator[Taps]:
    """Read hidden states and attention probabilities of every forward inside a `with` block.

    Probabilities are read before dropout, whatever computes them: fused attention,
    `nn.MultiheadAttention`, or a model that writes its attention out and then calls functional
    dropout or a dropout module on it. Fused attention does not return them, so they are
    computed separately.

    >>> from dropsmith.plans import select
    >>> net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> with taps(net, hidden=select(type="Linear")) as read:
    ...     y = net(torch.ones(5, 3))
    >>> [(name, tuple(value.shape)) for name, value in read.hidden.items()]
    [('0', (5, 4)), ('2', (5, 2))]

    Args:
        model: the root; install a plan, if any, before the taps.
        hidden: the modules whose outputs are read, by name, glob or `select(...)`.
        attention: the `attention()` and `dropout()` sites, and dropout modules, whose attention
            probabilities are read; nothing is read at those that drop something else.

    Raises:
        SiteError: nothing is to be read, a selector matches no site, or none of its sites ran.
    """
    check_model(model)
    tap = _Tap(model, Taps(), _selector("hidden", hidden), _selector("attention", attention))
    try:
        tap.open()
        with fast_path_disabled():
            yield tap.readings
        tap.check_ran()
    finally:
        tap.close()


def _selector(argument: str, name: str | Selector | None) -> Selector | None:
    kinds = (str, Selector, type(None))
    check_type(argument, name, kinds, "a name, a glob, select(...) or None")
    return Selector(name=name) if isinstance(name, str) else name


class _Tap:
    """The hooks of one `with taps(...)` block."""

    def __init__(
        self, model: nn.Module, readings: Taps, hidden: Selector | None, attention: Selector | None
    ) -> None:
        if hidden is None and attention is None:
            raise SiteError("taps reads hidden=... or attention=..., and was given neither")
        self.model, self.readings, self.hidden, self.attention = model, readings, hidden, attention
        self.handles: list[RemovableHandle] = []
        self.own_calls: list[OwnCalls] = []
        self.ran = self.with_grad = False

    def open(self) -> None:
        """Hook every place that is asked for."""
        all_sites = static_sites(self.model)
        if self.hidden is not None:
            outputs = [site for site in all_sites if site.kind in ("output", "dropout", "path")]
            for site in _matching(self.hidden, outputs):
                hook = _OutputHook(self, site.name)
                self._add(owner_module(self.model, site.owner).register_forward_hook(hook))
        if self.attention is not None:
            drops = [site for site in all_sites if site.kind in ("dropout", "attention")]
            self._open_attention(
                _matching(self.attention, drops + possible_calls(self.model, all_sites))
            )
        self._add(self.model.register_forward_pre_hook(self._begin, prepend=True))
        self._add(self.model.register_forward_hook(self._end))

    def close(self) -> None:
        """Take all hooks off."""
        for handle in self.handles:
            handle.remove()
        for calls in self.own_calls:
            calls.detach()

    def check_ran(self) -> None:
        """Raise `SiteError` where the model never ran, so that an empty reading is not used."""
        if not self.ran:
            raise SiteError("taps read nothing: the model did not run inside the with block")

    def store(self, into: dict[str, Tensor], name: str, value: Tensor) -> None:
        """Remember what a site gave, in the forward and not where it is run again for backward."""
        if in_backward():
            return
        if self.with_grad and not torch.is_grad_enabled():
            raise SiteError(
                f"site {name!r} runs without gradients inside a forward with them, so what is "
                "read there has no graph\n  checkpoint with use_reentrant=False, or read elsewhere"
            )
        earlier = sum(key == name or key.startswith(f"{name}#") for key in into)
        into[f"{name}#{earlier}" if earlier else name] = value

    def store_attention(self, name: str, value: Tensor) -> None:
        """Remember what is about to be dropped, where it is probabilities."""
        if sums_to_one(value):
            self.store(self.readings.attention, name, value)

    def _open_attention(self, sites: Sequence[Site]) -> None:
        calls: dict[str, dict[str, str]] = {}
        for site in sites:
            if site.kind == "dropout":
                hook = _InputHook(self, site.name)
                owner = owner_module(self.model, site.owner)
                self._add(owner.register_forward_pre_hook(hook))
            else:
                calls.setdefault(site.owner, {})[site.kind] = site.name
        for owner, names in calls.items():
            calls_of_owner = OwnCalls(owner_module(self.model, owner), _CallHandle(self, names))
            self.own_calls.append(calls_of_owner)
            calls_of_owner.attach()

    def _add(self, handle: RemovableHandle) -> None:
        self.handles.append(handle)

    def _begin(self, module: nn.Module, args: Any) -> None:
        self.with_grad = torch.is_grad_enabled()
        self.readings.hidden.clear()
        self.readings.attention.clear()

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        self.ran = True
        parts = (self.hidden, self.readings.hidden), (self.attention, self.readings.attention)
        for selector, values in parts:
            if selector is not None and not values:
                raise SiteError(
                    f"taps read nothing at {excerpt(selector)}: its sites did not run in this "
                    "forward, or held no attention probabilities\n"
                    "  to list the sites that run: dropsmith.sites(model, batch)"
                )


def _matching(selector: Selector, sites: Sequence[Site]) -> list[Site]:
    matching = [site for site in sites if selector.matches(site)]
    if not matching:
        names = [site.name for site in sites]
        raise SiteError(
            f"taps: {excerpt(selector)} matched no site\n  nearest: {nearest(selector, names)}"
        )
    return matching


class _OutputHook:
    def __init__(self, tap: _Tap, name: str) -> None:
        self.tap, self.name = tap, name

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        self.tap.store(self.tap.readings.hidden, self.name, leading_tensor(output, self.name))


class _InputHook:
    def __init__(self, tap: _Tap, name: str) -> None:
        self.tap, self.name = tap, name

    def __call__(self, module: nn.Module, args: Any) -> None:
        if args and isinstance(args[0], Tensor):
            self.tap.store_attention(self.name, args[0])


class _CallHandle:
    """Reads the noisy calls of one module and lets them go on to whatever is below."""

    def __init__(self, tap: _Tap, names: Mapping[str, str]) -> None:
        self.tap, self.names = tap, names

    def __call__(self, call: NoisyCall) -> Any:
        name = self.names.get(call.kind)
        if name is not None and call.kind == "functional":
            self.tap.store_attention(name, call.input)
        elif name is not None and call.kind == "attention":
            self.tap.store(self.tap.readings.attention, name, probabilities(call))
        return call.run()
