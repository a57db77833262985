"""The noise a model declares: what each of its calls drops in train mode, site by site."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from dropsmith.batches import call
from dropsmith.interception import ModuleTrace, NoisyCall
from dropsmith.noise import (
    call_kind,
    depth_attribute,
    depth_pattern,
    layer_drop_disabled,
    state_unchanged,
)
from dropsmith.patterns import Bernoulli, Pattern, TorchDropout
from dropsmith.plans import call_name, display_name

_KEYED = (nn.Dropout.forward, nn.Dropout1d.forward, nn.Dropout2d.forward, nn.Dropout3d.forward)


_AXES = {
    2: ("batch unit", ""),
    3: ("batch channel time", "time"),
    4: ("batch channel height width", "height width"),
    5: ("batch channel time height width", "time height width"),
}


@dataclass(frozen=True)
class NativeCall:
    """The pattern by which one call drops, and the axes it is meant for where they must be said."""

    pattern: Pattern
    axes: str | None = None

    @property
    def rate(self) -> float:
        """The chance of dropping that the call declares."""
        return float(getattr(self.pattern, "rate", 0.0))


Calls = dict[str, tuple[NativeCall, ...]]


def native_calls(model: nn.Module, batch: Any) -> Calls:
    """The noise of every call at each native site, in order, by the name of the site.

    The model is run in train mode, because many models pass rate 0 in eval mode, and with all its
    layers, because evaluation skips none.
    """
    trace = _NativeTrace()
    no_skipping = layer_drop_disabled(model)
    with trace.running(model), state_unchanged(model), no_skipping, torch.no_grad():
        model.train()
        call(model, batch)
    return {name: tuple(of_site) for name, of_site in trace.calls.items()}


class _NativeTrace(ModuleTrace):
    """Notes what each native site declares, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[NativeCall]] = {}

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # What another dropout class does is its own affair, and alpha dropout has no mask.
        if isinstance(self.module, _DropoutNd) and type(self.module).forward not in _KEYED:
            self._add(display_name(self.name), NativeCall(TorchDropout(rate=float(self.module.p))))
        x = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        if x is not None and depth_attribute(self.module) is not None:
            # Stochastic depth drops along axes that its input tells.
            self._add(display_name(self.name), NativeCall(*depth_pattern(self.module, x.ndim)))

    def call(self, call: NoisyCall) -> Any:
        name = display_name(self.name)
        if not isinstance(self.module, _DropoutNd):
            self._add(call_name(name, call_kind(call, self.module)), native_call(call))
        elif call.kind == "functional" and type(self.module).forward in _KEYED:
            self._add(name, native_call(call))
        return call.run()

    def _add(self, site: str, call: NativeCall) -> None:
        self.calls.setdefault(site, []).append(call)


def native_call(call: NoisyCall) -> NativeCall:
    """The noise that one call declares, as a pattern that a rule can have.

    Alpha dropout has no mask to multiply by, and a packed sequence no axes of its own to drop
    along: torch's draw stays in both.
    """
    rate = call.rate if call.training else 0.0
    packed = "batch_sizes" in call.arguments
    if packed or call.operation in ("alpha dropout", "channel alpha dropout"):
        return NativeCall(TorchDropout(rate=rate))
    if call.operation != "channel dropout":
        return NativeCall(Bernoulli(rate=rate))
    axes, shared = _AXES[call.input.ndim]
    return NativeCall(Bernoulli(rate=rate, shared=shared), axes)
