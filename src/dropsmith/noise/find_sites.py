"""All sites of a model, found by inspecting its modules and running it."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from dropsmith.batches import Arguments, arguments, leading_tensor
from dropsmith.errors import SiteError
from dropsmith.instances import check_model
from dropsmith.interception import ModuleTrace, NoisyCall, attention_sizes
from dropsmith.noise.probing import state_unchanged
from dropsmith.noise.row_layout import RowAxes, layout_of
from dropsmith.noise.skipping import layer_drop_disabled
from dropsmith.noise.static_sites import owner_module, static_sites
from dropsmith.noise.torch_calls import call_kind
from dropsmith.noise.turns import taking_turns
from dropsmith.plans import Site, call_name, confirm_names, display_name, names_of


@taking_turns
def sites(model: nn.Module, batch: Any, *, rows: RowAxes | None = None) -> list[Site]:
    """List every site of a model in order; its axes are found by running B and B + 1 rows.

    The model runs in train mode without gradients and with all its layers, including those that
    layer drop would skip. Modes, buffers (with BatchNorm statistics), random generators and the
    step are restored. Which tensors of the batch have rows is found by running, too.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.2))
    >>> [(site.name, site.kind, site.rate) for site in sites(net, torch.ones(2, 3))][-1]
    ('1', 'dropout', 0.2)

    Args:
        model: any module.
        batch: its input: a tensor, a tuple of arguments, or a mapping of them by name.
        rows: the axes on which arguments have their rows, by name; None for an argument without
            rows, as in `{"mask": None}`. If not given, they are found by running.
    """
    check_model(model)
    inputs = arguments(model, batch)
    with state_unchanged(model):
        model.train()
        layout = layout_of(model, inputs, rows)
    one_row = layout.take_arguments(inputs, [0]) if layout.divisible else inputs
    trace = _run(model, layout.fresh(inputs))
    try:
        larger_trace = _run(model, layout.combine([inputs, one_row])) if layout.grows else trace
    except Exception:  # rows that look at each other may take no more of them
        larger_trace = trace
    shapes, larger_shapes = trace.shapes, larger_trace.shapes
    static = static_sites(model)
    names = {site.name for site in static}
    calls = [site for site in trace.calls.values() if site.name not in names]
    return [_with_axes(site, model, shapes, larger_shapes) for site in static + calls]


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
            owner, sizes = display_name(self.name), tuple(call.input.shape)
            name = call_name(owner, kind)
            self.shapes.setdefault(name, attention_sizes(call) if kind == "attention" else sizes)
            kinds = type(module).__name__
            site = Site(name=name, kind=kind, owner=owner, type=kinds, rate=call.rate)
            self.calls.setdefault(name, site)
        return call.run()

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        if first is not None:
            self.shapes.setdefault(f"{display_name(self.name)}.input", tuple(first.shape))

    def end(self, output: Any) -> None:
        name = display_name(self.name)
        # What has no tensor has no shape, and a rule there is refused when it runs.
        with suppress(SiteError):
            self.shapes.setdefault(name, tuple(leading_tensor(output, name).shape))


def _run(model: nn.Module, inputs: Arguments) -> _SiteTrace:
    trace = _SiteTrace()
    no_skipping = layer_drop_disabled(model)
    with trace.running(model), state_unchanged(model), no_skipping, torch.no_grad():
        model.train()
        model(*inputs[0], **inputs[1])
    return trace


def _with_axes(
    site: Site, model: nn.Module, shapes: dict[str, Any], larger_shapes: dict[str, Any]
) -> Site:
    has_own_shape = site.kind in ("attention", "functional", "input")
    place = site.name if has_own_shape else site.owner
    sizes = shapes.get(place)
    if sizes is None or site.kind in ("weight", "state"):
        return site
    names = names_of(owner_module(model, site.owner), site.kind, len(sizes))
    return replace(
        site, sizes=sizes, axes=confirm_names(names, sizes, larger_shapes.get(place, sizes))
    )
