"""What every noisy place of a model is given and returns while it runs, ours and torch's own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.overrides import TorchFunctionMode

from dropsmith.sites import find_noise
from dropsmith.sites._site import shown
from dropsmith.sites.attention import probabilities
from dropsmith.sites.calls import ATTENTION, DROPOUTS, MULTI_HEAD, RECURRENT, unguarded
from dropsmith.sites.names import call_name

See = Callable[[str, Tensor, Tensor], None]


@contextmanager
def watched(model: nn.Module, see: See) -> Iterator[None]:
    """Call `see(site, before, after)` for every draw in the forwards of the `with` block."""
    noise = find_noise(model)
    trace = _Watch(see)
    handles = [
        handle for name, module in model.named_modules() for handle in _hooks(trace, name, module)
    ]
    if noise is not None:
        noise.observer = see
    try:
        with trace:
            yield
    finally:
        for handle in handles:
            handle.remove()
        if noise is not None:
            noise.observer = None


class _Watch(TorchFunctionMode):
    """Sees torch's own noisy calls, those that no rule of ours has replaced."""

    def __init__(self, see: See) -> None:
        super().__init__()
        self.see = see
        self.stack: list[tuple[str, nn.Module]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not self.stack or isinstance(self.stack[-1][1], _DropoutNd):
            return func(*args, **kwargs)
        owner = shown(self.stack[-1][0])
        if func in DROPOUTS:
            return self._dropout(owner, func, args, kwargs)
        if func is ATTENTION:
            self._attention(call_name(owner, "attention"), args, kwargs)
        if func is MULTI_HEAD:
            # Its draw is a call inside it, which this mode sees only if it is run unguarded.
            with self:
                return unguarded(*args, **kwargs)
        if func in RECURRENT and isinstance(args[3], bool):
            self._between(call_name(owner, "between"), args)
        return func(*args, **kwargs)

    def _dropout(self, owner: str, func: Any, args: Any, kwargs: Any) -> Tensor:
        x = args[0] if args else kwargs["input"]
        before = x.detach().clone()
        after = func(*args, **kwargs)
        inside = isinstance(self.stack[-1][1], nn.MultiheadAttention)
        self.see(call_name(owner, "attention" if inside else "functional"), before, after)
        return after

    def _attention(self, site: str, args: Any, kwargs: Any) -> None:
        """Ask for the same draw's distribution with the identity in place of the values."""
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        given = dict(zip(names, args, strict=False)) | dict(kwargs)
        key = given["key"]
        eye = torch.eye(key.shape[-2], dtype=key.dtype, device=key.device)
        dropped = ATTENTION(**given | {"value": eye.expand(*key.shape[:-1], -1)})
        shown_ = ("query", "attn_mask", "is_causal", "scale")
        own = {name: given[name] for name in shown_ if name in given}
        if given.get("enable_gqa"):
            key = key.repeat_interleave(given["query"].shape[-3] // key.shape[-3], -3)
        self.see(site, probabilities(key=key, **own), dropped)

    def _between(self, site: str, args: Any) -> None:
        """Send ones through two layers that copy, with this call's own dropout between them."""
        x, layers, rate, train = args[0], args[4], args[5], args[6]
        if layers < 2:
            return
        width = 8
        eye = torch.eye(width, dtype=x.dtype, device=x.device)
        ones = x.new_ones(*x.shape[:-1], width)
        state = x.new_zeros(2, x.shape[0], width)
        weights = [eye, torch.zeros_like(eye)] * 2
        after, _ = torch.rnn_relu(ones, state, weights, False, 2, rate, train, False, True)
        self.see(site, ones, after)


def _hooks(trace: _Watch, name: str, module: nn.Module) -> list[Any]:
    given: list[Tensor] = []

    def before(m: nn.Module, args: Any) -> None:
        trace.stack.append((name, m))
        if isinstance(m, _DropoutNd) and args:
            given.append(args[0].detach().clone())

    def after(m: nn.Module, args: Any, output: Any) -> None:
        trace.stack.pop()
        if isinstance(m, _DropoutNd) and given and isinstance(output, Tensor):
            trace.see(shown(name), given.pop(), output)

    return [
        module.register_forward_pre_hook(before),
        module.register_forward_hook(after, always_call=True),
    ]
