"""Every place where noise is or could be, found by looking at a model and running it twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropsmith.sites._site import Kind, Site, shown, static_sites
from dropsmith.sites.axes_of import confirmed, names_of
from dropsmith.sites.batch import call, one_more_row
from dropsmith.sites.calls import ATTENTION, DROPOUTS
from dropsmith.sites.names import call_name


def sites(model: nn.Module, batch: Any) -> list[Site]:
    """Every site of a model, in order, its axes confirmed by running B and B + 1 rows.

    The model is run in train mode without gradients, with torch's generator put back after;
    BatchNorm statistics and other buffers are restored.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2))
    >>> [(site.name, site.kind, site.rate) for site in sites(net, torch.ones(2, 3))][-1]
    ('1', 'dropout', 0.2)

    Args:
        model: any module.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.
    """
    few, more = _run(model, batch), _run(model, one_more_row(batch))
    static = [_seen(site, model, few.shapes, more.shapes) for site in static_sites(model)]
    known = {site.name for site in static}
    found = [_seen(site, model, few.shapes, more.shapes) for site in few.calls]
    return static + [site for site in found if site.name not in known]


class _Trace(TorchFunctionMode):
    """The shapes modules return, and the noisy calls that modules make themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, nn.Module]] = []
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.calls: list[Site] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name, module = self.stack[-1] if self.stack else ("", None)
        if module is not None and not isinstance(module, _DropoutNd | nn.MultiheadAttention):
            self._note(func, args, kwargs, name, module)
        return func(*args, **kwargs)

    def _note(self, func: Any, args: Any, kwargs: Any, name: str, module: nn.Module) -> None:
        if func in DROPOUTS:
            x, rate = args[0] if args else kwargs["input"], _argument(args, kwargs, 1, "p", 0.5)
            self._add("functional", name, module, float(rate), tuple(x.shape))
        if func is ATTENTION:
            query = args[0] if args else kwargs["query"]
            key = args[1] if len(args) > 1 else kwargs["key"]
            rate = _argument(args, kwargs, 4, "dropout_p", 0.0)
            sizes = (*query.shape[:-1], key.shape[-2])
            self._add("attention", name, module, float(rate), sizes)

    def _add(
        self, kind: Kind, name: str, module: nn.Module, rate: float, sizes: tuple[int, ...]
    ) -> None:
        full = call_name(shown(name), kind)
        self.shapes.setdefault(full, sizes)
        if all(site.name != full for site in self.calls):
            type_ = type(module).__name__
            self.calls.append(Site(name=full, kind=kind, owner=shown(name), type=type_, rate=rate))

    def enter(self, name: str, module: nn.Module) -> None:
        self.stack.append((name, module))

    def leave(self, name: str, output: Any) -> None:
        self.stack.pop()
        first = output[0] if isinstance(output, tuple | list) and output else output
        if not isinstance(first, Tensor) and isinstance(output, dict) and output:
            first = next(iter(output.values()))
        if isinstance(first, Tensor):
            self.shapes.setdefault(shown(name), tuple(first.shape))


def _run(model: nn.Module, batch: Any) -> _Trace:
    trace = _Trace()
    with _watched(model, trace), unchanged(model), torch.no_grad(), trace:
        model.train()
        call(model, batch)
    return trace


@contextmanager
def _watched(model: nn.Module, trace: _Trace) -> Iterator[None]:
    handles = []
    for name, module in model.named_modules():

        def before(m: nn.Module, args: Any, *, name: str = name) -> None:
            trace.enter(name, m)

        def after(m: nn.Module, args: Any, output: Any, *, name: str = name) -> None:
            trace.leave(name, output)

        handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put modes, buffers and torch's generators back as they were."""
    modes = {module: module.training for module in model.modules()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = {p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(devices)):
            yield
    finally:
        for module, training in modes.items():
            module.training = training
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])


def _seen(site: Site, model: nn.Module, few: dict[str, Any], more: dict[str, Any]) -> Site:
    place = site.name if site.kind in ("attention", "functional") else site.owner
    sizes = few.get(place)
    if sizes is None or site.kind in ("weight", "words", "input", "between"):
        return site
    module = model if site.owner == shown("") else model.get_submodule(site.owner)
    names = names_of(module, site.kind, len(sizes))
    return replace(site, sizes=sizes, axes=confirmed(names, sizes, more.get(place, sizes)))


def _argument(args: Any, kwargs: Any, index: int, name: str, default: float) -> float:
    return args[index] if len(args) > index else kwargs.get(name, default)
