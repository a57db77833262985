"""Every place where noise is or could be, found by looking at a model and running it twice."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropsmith.batches import Arguments, arguments
from dropsmith.interception import ATTENTION, DROPOUTS, MULTI_HEAD, multi_head_arguments, watched
from dropsmith.noise.probing import unchanged
from dropsmith.noise.row_layout import RowAxes, layout_of
from dropsmith.noise.static_sites import owner_module, static_sites
from dropsmith.noise.torch_calls import functional_kind
from dropsmith.plans import Kind, Site, call_name, confirmed, names_of, shown


def sites(model: nn.Module, batch: Any, *, rows: RowAxes | None = None) -> list[Site]:
    """Every site of a model, in order, its axes confirmed by running B and B + 1 rows.

    The model is run in train mode without gradients; modes, buffers (BatchNorm statistics among
    them), random generators and the step are put back after. Where the rows of the batch lie is
    found by running, too.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2))
    >>> [(site.name, site.kind, site.rate) for site in sites(net, torch.ones(2, 3))][-1]
    ('1', 'dropout', 0.2)

    Args:
        model: any module.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.
        rows: the axes on which arguments have their rows, by name, where somebody says them; None
            for an argument without rows, as in `{"mask": None}`.
    """
    inputs = arguments(model, batch)
    with unchanged(model):
        model.train()
        layout = layout_of(model, inputs, rows)
    one = layout.taken_arguments(inputs, [0]) if layout.divisible else inputs
    few = _run(model, layout.fresh(inputs))
    try:
        more = _run(model, layout.combined([inputs, one])) if layout.grows else few
    except Exception:  # rows that look at each other may take no more of them
        more = few
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
            self._add(functional_kind(module), name, module, float(rate), tuple(x.shape))
        if func is ATTENTION:
            query = args[0] if args else kwargs["query"]
            key = args[1] if len(args) > 1 else kwargs["key"]
            rate = _argument(args, kwargs, 4, "dropout_p", 0.0)
            sizes = (*query.shape[:-1], key.shape[-2])
            self._add("attention", name, module, float(rate), sizes)
        if func is MULTI_HEAD:
            given = multi_head_arguments(args, kwargs)
            target, rows = given["query"].shape[:2]
            sizes = (rows, given["num_heads"], target, given["key"].shape[0])
            self._add("attention", name, module, float(given["dropout_p"]), sizes)

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

    def given(self, args: Any, kwargs: Any) -> None:
        first = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        if first is not None:
            self.shapes.setdefault(f"{shown(self.stack[-1][0])}.input", tuple(first.shape))

    def leave(self, name: str, output: Any) -> None:
        self.stack.pop()
        first = output[0] if isinstance(output, tuple | list) and output else output
        if not isinstance(first, Tensor) and isinstance(output, dict) and output:
            first = next(iter(output.values()))
        if isinstance(first, Tensor):
            self.shapes.setdefault(shown(name), tuple(first.shape))


def _run(model: nn.Module, inputs: Arguments) -> _Trace:
    trace = _Trace()
    with watched(model, trace), unchanged(model), torch.no_grad(), trace:
        model.train()
        model(*inputs[0], **inputs[1])
    return trace


def _seen(site: Site, model: nn.Module, few: dict[str, Any], more: dict[str, Any]) -> Site:
    own = site.kind in ("attention", "functional", "input")
    place = site.name if own else site.owner
    sizes = few.get(place)
    if sizes is None or site.kind in ("weight", "state"):
        return site
    names = names_of(owner_module(model, site.owner), site.kind, len(sizes))
    return replace(site, sizes=sizes, axes=confirmed(names, sizes, more.get(place, sizes)))


def _argument(args: Any, kwargs: Any, index: int, name: str, default: float) -> float:
    return args[index] if len(args) > index else kwargs.get(name, default)
