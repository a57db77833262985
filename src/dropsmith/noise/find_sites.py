"""Every place where noise is or could be, found by looking at a model and running it twice."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from dropsmith.batches import call, leading_tensor, one_more_column, one_more_row
from dropsmith.errors import SiteError
from dropsmith.interception import ModuleTrace, NoisyCall, attention_sizes
from dropsmith.noise.probing import unchanged
from dropsmith.noise.static_sites import owner_module, static_sites
from dropsmith.noise.torch_calls import call_kind
from dropsmith.plans import Site, call_name, confirmed, names_of, shown


def sites(model: nn.Module, batch: Any) -> list[Site]:
    """Every site of a model, in order, its axes confirmed by running B and B + 1 rows.

    The model is run in train mode without gradients; modes, buffers (BatchNorm statistics among
    them), torch's generator and the step are put back after. Rows are counted along dimension 0
    of the batch, or along 1 where a recurrent or attention layer shows that time comes first.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2))
    >>> [(site.name, site.kind, site.rate) for site in sites(net, torch.ones(2, 3))][-1]
    ('1', 'dropout', 0.2)

    Args:
        model: any module.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.
    """
    few, more = _run(model, batch), _run(model, one_more_row(batch))
    if _time_first(model, few.shapes, more.shapes):
        more = _run(model, one_more_column(batch))
    static = [_seen(site, model, few.shapes, more.shapes) for site in static_sites(model)]
    known = {site.name for site in static}
    found = [_seen(site, model, few.shapes, more.shapes) for site in few.calls.values()]
    return static + [site for site in found if site.name not in known]


class _SiteTrace(ModuleTrace):
    """The shapes modules take and return, and the noisy calls that modules make themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.calls: dict[str, Site] = {}

    def call(self, call: NoisyCall) -> Any:
        kind, module = call_kind(call, self.module), self.module
        # What torch's own layers draw is known without a run.
        if call.kind != "between" and not isinstance(module, _DropoutNd | nn.MultiheadAttention):
            owner, sizes = shown(self.name), tuple(call.input.shape)
            name = call_name(owner, kind)
            self.shapes.setdefault(name, attention_sizes(call) if kind == "attention" else sizes)
            kinds = type(module).__name__
            site = Site(name=name, kind=kind, owner=owner, type=kinds, rate=call.rate)
            self.calls.setdefault(name, site)
        return call.run()

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        if first is not None:
            self.shapes.setdefault(f"{shown(self.name)}.input", tuple(first.shape))

    def end(self, output: Any) -> None:
        name = shown(self.name)
        # What has no tensor has no shape, and a rule there is refused when it runs.
        with suppress(SiteError):
            self.shapes.setdefault(name, tuple(leading_tensor(output, name).shape))


def _run(model: nn.Module, batch: Any) -> _SiteTrace:
    trace = _SiteTrace()
    with trace.running(model), unchanged(model), torch.no_grad():
        model.train()
        call(model, batch)
    return trace


def _seen(site: Site, model: nn.Module, few: dict[str, Any], more: dict[str, Any]) -> Site:
    own = site.kind in ("attention", "functional", "input")
    place = site.name if own else site.owner
    sizes = few.get(place)
    if sizes is None or site.kind in ("weight", "state"):
        return site
    names = names_of(owner_module(model, site.owner), site.kind, len(sizes))
    return replace(site, sizes=sizes, axes=confirmed(names, sizes, more.get(place, sizes)))


def _time_first(model: nn.Module, few: dict[str, Any], more: dict[str, Any]) -> bool:
    """Whether dimension 0, which grew, is time to a layer that takes `[time, batch, unit]`."""
    return any(
        _grew(few.get(place), more.get(place)) == [0]
        for name, module in model.named_modules()
        if isinstance(module, nn.RNNBase | nn.MultiheadAttention) and not module.batch_first
        if len(few.get(place := f"{shown(name)}.input", ())) == 3
    )


def _grew(few: tuple[int, ...] | None, more: tuple[int, ...] | None) -> list[int]:
    pairs = zip(few or (), more or (), strict=False)
    return [dim for dim, (a, b) in enumerate(pairs) if a != b]
