"""What every noisy place of a model is given and returns while it runs, ours and torch's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropsmith.activations import of_multi_head
from dropsmith.interception import (
    ATTENTION,
    DROPOUTS,
    MULTI_HEAD,
    RECURRENT,
    probabilities,
    unguarded,
)
from dropsmith.noise import depth_attribute, functional_kind, installations, name_within
from dropsmith.patterns import Native, Off
from dropsmith.plans import Kind, call_name, shown

See = Callable[[str, Kind, Tensor, Tensor], None]


@contextmanager
def watched(model: nn.Module, see: See) -> Iterator[None]:
    """Call `see(site, kind, before, after)` for every draw in the forwards of the `with` block."""
    trace = _Watch(see)
    ours = _keyed(model)
    handles = [
        handle
        for name, module in model.named_modules()
        for handle in _hooks(trace, name, module, report=shown(name) not in ours)
    ]
    for part, installation in installations(model):
        installation.noise.observer = _Named(part, see)
    try:
        with trace:
            yield
    finally:
        for handle in handles:
            handle.remove()
        for _, installation in installations(model):
            installation.noise.observer = None


class _Named:
    """Reports the sites of a part of a model by the names that they have in the whole."""

    def __init__(self, part: str, see: See) -> None:
        self.part, self.see = part, see

    def __call__(self, site: str, kind: Kind, before: Tensor, after: Tensor) -> None:
        self.see(name_within(self.part, site), kind, before, after)


class _Watch(TorchFunctionMode):
    """Sees torch's own noisy calls, those that no rule of ours has replaced."""

    def __init__(self, see: See) -> None:
        super().__init__()
        self.see = see
        self.stack: list[tuple[str, nn.Module]] = []
        self.heads, self.head_drawn = 0, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self.stack or isinstance(self.stack[-1][1], _DropoutNd):
            return func(*args, **kwargs)
        owner = shown(self.stack[-1][0])
        if func in DROPOUTS:
            return self._dropout(owner, func, args, kwargs)
        if func is ATTENTION:
            self.head_drawn = True
            self._attention(call_name(owner, "attention"), args, kwargs)
        if func is MULTI_HEAD:
            return self._multi_head(args, kwargs)
        if func in RECURRENT:
            self._between(call_name(owner, "between"), args)
        return func(*args, **kwargs)

    def _dropout(self, owner: str, func: Any, args: Any, kwargs: Any) -> Tensor:
        x = args[0] if args else kwargs["input"]
        before = x.detach().clone()
        after = func(*args, **kwargs)
        kind: Kind = "attention" if self.heads else functional_kind(self.stack[-1][1])
        self.head_drawn = self.head_drawn or bool(self.heads)
        self.see(call_name(owner, kind), kind, before, after)
        return after

    def _multi_head(self, args: Any, kwargs: Any) -> Any:
        """Run it unguarded: its draw is a call inside it, which a mode sees only so."""
        self.heads += 1
        self.head_drawn = False
        try:
            with self:
                out = unguarded(*args, **kwargs)
        finally:
            self.heads -= 1
        if not self.head_drawn:
            # It calls no dropout at rate 0: what it would have dropped goes on as it is.
            weights = of_multi_head(args, kwargs)
            site = call_name(shown(self.stack[-1][0]), "attention")
            self.see(site, "attention", weights, weights)
        return out

    def _attention(self, site: str, args: Any, kwargs: Any) -> None:
        """Ask for the same draw's distribution with the identity in place of the values."""
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given: dict[str, Any] = dict(zip(names, args, strict=False)) | dict(kwargs)
        key = given["key"]
        eye = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
        given["value"] = eye.expand(*key.shape[:-1], -1)
        dropped = ATTENTION(**given)
        asked = ("query", "attn_mask", "is_causal", "scale")
        own: dict[str, Any] = {name: given[name] for name in asked if name in given}
        if given.get("enable_gqa"):
            key = key.repeat_interleave(given["query"].shape[-3] // key.shape[-3], -3)
        self.see(site, "attention", probabilities(key=key, **own), dropped)

    def _between(self, site: str, args: Any) -> None:
        """Send ones through two layers that copy, with this call's own dropout between them."""
        x = args[0]
        # Torch's call for packed sequences has one argument more, the batch sizes.
        packed = not isinstance(args[3], bool)
        layers, rate, train = args[4 + packed : 7 + packed]
        if layers < 2:
            return
        width = 8
        eye = torch.eye(width, dtype=x.dtype, device=x.device)
        ones = x.new_ones(*x.shape[:-1], width)
        state = x.new_zeros(2, int(args[1][0]) if packed else x.shape[0], width)
        weights = [eye, torch.zeros_like(eye)] * 2
        tail = (state, weights, False, 2, rate, train, False)
        out = torch.rnn_relu(ones, args[1], *tail) if packed else torch.rnn_relu(ones, *tail, True)
        self.see(site, "between", ones, out[0])


def _keyed(model: nn.Module) -> set[str]:
    """The dropout modules whose draw is ours, which the noise itself reports."""
    return {
        name_within(part, one.site.name)
        for part, installation in installations(model)
        for one in installation.assignments
        if one.site.kind in ("dropout", "path") and not isinstance(one.pattern, Native | Off)
    }


def _hooks(trace: _Watch, name: str, module: nn.Module, *, report: bool) -> list[Any]:
    given: list[Tensor] = []
    kind: Kind = "dropout" if isinstance(module, _DropoutNd) else "path"
    report = report and (kind == "dropout" or depth_attribute(module) is not None)

    def before(m: nn.Module, args: Any, kwargs: Any) -> None:
        trace.stack.append((name, m))
        if report:
            given.append(next(iter((*args, *kwargs.values()))).detach().clone())

    def after(m: nn.Module, args: Any, output: Any) -> None:
        trace.stack.pop()
        if given and isinstance(output, Tensor):
            trace.see(shown(name), kind, given.pop(), output)

    return [
        module.register_forward_pre_hook(before, with_kwargs=True),
        module.register_forward_hook(after, always_call=True),
    ]
