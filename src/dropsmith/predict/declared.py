"""The noisy calls that modules make themselves, with the rate each declares in train mode."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropsmith.patterns import Bernoulli, Native, Pattern
from dropsmith.sites._site import Kind, shown
from dropsmith.sites.batch import call
from dropsmith.sites.calls import ATTENTION, DROPOUTS, MULTI_HEAD, RECURRENT
from dropsmith.sites.find import _watched, unchanged
from dropsmith.sites.names import call_name

_CHANNELS = (F.dropout1d, F.dropout2d, F.dropout3d)
_ALPHA = (F.alpha_dropout, F.feature_alpha_dropout)
_AXES = {
    2: ("batch unit", ""),
    3: ("batch channel time", "time"),
    4: ("batch channel height width", "height width"),
    5: ("batch channel time height width", "time height width"),
}


@dataclass(frozen=True)
class Declared:
    """What one call drops, as a pattern, and the axes it is meant for where they must be said."""

    pattern: Pattern
    axes: str | None = None

    @property
    def rate(self) -> float:
        """The chance of dropping that the call declares."""
        return float(getattr(self.pattern, "rate", 0.0))


Calls = dict[str, tuple[Declared, ...]]


def declared_calls(model: nn.Module, batch: Any) -> Calls:
    """What the calls of each module's own drop, in order, by site.

    The model is run in train mode, because many models pass rate 0 in eval mode.
    """
    trace = _Trace()
    with _watched(model, trace), unchanged(model), torch.no_grad(), trace:  # pyright: ignore
        model.train()
        call(model, batch)
    return {name: tuple(made) for name, made in trace.calls.items()}


class _Trace(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, nn.Module]] = []
        self.calls: dict[str, list[Declared]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.stack and not isinstance(self.stack[-1][1], _DropoutNd):
            self._note(self.stack[-1][1], func, args, kwargs)
        return func(*args, **kwargs)

    def _note(self, owner: nn.Module, func: Any, args: Any, kwargs: Any) -> None:
        if func in DROPOUTS:
            self._add("functional", _functional(func, args, kwargs))
        elif func is ATTENTION:
            rate = args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0)
            self._add("attention", Declared(Bernoulli(rate=float(rate))))
        elif func is MULTI_HEAD and isinstance(owner, nn.MultiheadAttention):
            self._add("attention", Declared(Bernoulli(rate=float(owner.dropout))))
        elif func in RECURRENT and isinstance(owner, nn.RNNBase):
            # A packed sequence has no axes of its own to drop along: torch's draw stays.
            keyed = isinstance(args[3], bool)
            rate = float(owner.dropout)
            self._add("between", Declared(Bernoulli(rate=rate) if keyed else Native(rate=rate)))

    def _add(self, kind: Kind, one: Declared) -> None:
        self.calls.setdefault(call_name(shown(self.stack[-1][0]), kind), []).append(one)

    def enter(self, name: str, module: nn.Module) -> None:
        self.stack.append((name, module))

    def leave(self, name: str, output: Any) -> None:
        self.stack.pop()


def _functional(func: Any, args: Any, kwargs: Any) -> Declared:
    given = dict(zip(("input", "p", "training"), args, strict=False)) | dict(kwargs)
    training = given.get("training", given.get("train", func not in _ALPHA))
    rate = float(given.get("p", 0.5)) if training else 0.0
    if func in _ALPHA:
        return Declared(Native(rate=rate))
    if func not in _CHANNELS:
        return Declared(Bernoulli(rate=rate))
    axes, shared = _AXES[given["input"].ndim]
    return Declared(Bernoulli(rate=rate, shared=shared), axes)
