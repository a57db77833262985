"""The noise a model declares: what each of its calls drops in train mode, site by site."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropsmith.batches import call
from dropsmith.interception import ATTENTION, DROPOUTS, MULTI_HEAD, RECURRENT, watched
from dropsmith.noise import depth_attribute, depth_pattern, unchanged
from dropsmith.patterns import Bernoulli, Native, Pattern
from dropsmith.plans import Kind, call_name, shown

_CHANNELS = (F.dropout1d, F.dropout2d, F.dropout3d)


_ALPHA = (F.alpha_dropout, F.feature_alpha_dropout)


_KEYED = (nn.Dropout.forward, nn.Dropout1d.forward, nn.Dropout2d.forward, nn.Dropout3d.forward)


_AXES = {
    2: ("batch unit", ""),
    3: ("batch channel time", "time"),
    4: ("batch channel height width", "height width"),
    5: ("batch channel time height width", "time height width"),
}


@dataclass(frozen=True)
class NativeCall:
    """What one call drops, as a pattern, and the axes it is meant for where they must be said."""

    pattern: Pattern
    axes: str | None = None

    @property
    def rate(self) -> float:
        """The chance of dropping that the call declares."""
        return float(getattr(self.pattern, "rate", 0.0))


Calls = dict[str, tuple[NativeCall, ...]]


def native_calls(model: nn.Module, batch: Any) -> Calls:
    """What every call at each native site drops, in order, by the name of the site.

    The model is run in train mode, because many models pass rate 0 in eval mode.
    """
    trace = _Trace()
    with watched(model, trace), unchanged(model), torch.no_grad(), trace:
        model.train()
        call(model, batch)
    return {name: tuple(made) for name, made in trace.calls.items()}


class _Trace(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, nn.Module]] = []
        self.calls: dict[str, list[NativeCall]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.stack:
            self._note(*self.stack[-1], func, args, kwargs)
        return func(*args, **kwargs)

    def enter(self, name: str, module: nn.Module) -> None:
        self.stack.append((name, module))
        # What another dropout class does is its own affair, and alpha dropout has no mask.
        if isinstance(module, _DropoutNd) and type(module).forward not in _KEYED:
            self._add(shown(name), NativeCall(Native(rate=float(module.p))))

    def given(self, args: Any, kwargs: Any) -> None:
        """Stochastic depth drops along axes that its input tells."""
        name, module = self.stack[-1]
        x = next((x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)), None)
        if x is not None and depth_attribute(module) is not None:
            self._add(shown(name), NativeCall(*depth_pattern(module, x.ndim)))

    def leave(self, name: str, output: Any) -> None:
        self.stack.pop()

    def _note(self, name: str, owner: nn.Module, func: Any, args: Any, kwargs: Any) -> None:
        if isinstance(owner, _DropoutNd):
            if func in DROPOUTS and type(owner).forward in _KEYED:
                self._add(shown(name), _functional(func, args, kwargs))
        elif func in DROPOUTS:
            self._call(name, "functional", _functional(func, args, kwargs))
        elif func is ATTENTION:
            rate = args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0)
            self._call(name, "attention", NativeCall(Bernoulli(rate=float(rate))))
        elif func is MULTI_HEAD and isinstance(owner, nn.MultiheadAttention):
            self._call(name, "attention", NativeCall(Bernoulli(rate=float(owner.dropout))))
        elif func in RECURRENT and isinstance(owner, nn.RNNBase) and owner.num_layers > 1:
            # A packed sequence has no axes of its own to drop along: torch's draw stays.
            keyed, rate = isinstance(args[3], bool), float(owner.dropout)
            one = Bernoulli(rate=rate) if keyed else Native(rate=rate)
            self._call(name, "between", NativeCall(one))

    def _call(self, name: str, kind: Kind, one: NativeCall) -> None:
        self._add(call_name(shown(name), kind), one)

    def _add(self, site: str, one: NativeCall) -> None:
        self.calls.setdefault(site, []).append(one)


def _functional(func: Any, args: Any, kwargs: Any) -> NativeCall:
    given = dict(zip(("input", "p", "training"), args, strict=False)) | dict(kwargs)
    training = given.get("training", given.get("train", func not in _ALPHA))
    rate = float(given.get("p", 0.5)) if training else 0.0
    if func in _ALPHA:
        return NativeCall(Native(rate=rate))
    if func not in _CHANNELS:
        return NativeCall(Bernoulli(rate=rate))
    axes, shared = _AXES[given["input"].ndim]
    return NativeCall(Bernoulli(rate=rate, shared=shared), axes)
