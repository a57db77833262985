"""Noise that is a call and not a module: functional dropout, fused attention, `nn.LSTM`'s own."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dropsmith.interception import (
    ATTENTION,
    DROPOUTS,
    MULTI_HEAD,
    RECURRENT,
    Attachment,
    CallMode,
    OwnCalls,
    Torch,
    attend,
    multi_head_arguments,
    unguarded,
)
from dropsmith.noise.between_layers import dropped_between
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.plans import Kind


def functional_kind(owner: nn.Module) -> Kind:
    """What a module's own functional dropout is: a recurrent layer's is between its layers."""
    return "between" if isinstance(owner, nn.RNNBase) else "functional"


class Calls(Attachment):
    """What happens to the noisy calls of one module: each kind of call has at most one site.

    Args:
        module: the module whose own forward makes the calls.
        functional: site of its functional dropout, with the rate torch keeps or None for ours.
        attention: site of its fused or multi-head attention, likewise.
        between: site between the layers of a recurrent module, always ours.
    """

    def __init__(
        self,
        module: nn.Module,
        functional: "CallSite | None" = None,
        attention: "CallSite | None" = None,
        between: "CallSite | None" = None,
    ) -> None:
        super().__init__(module)
        self.functional, self.attention, self.between = functional, attention, between
        self.own = OwnCalls(module, self.handle)

    def attach(self) -> None:
        self.own.attach()

    def detach(self) -> None:
        self.own.detach()

    def handle(self, func: Torch, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run one torch call of the owner, with its site's noise where it has one."""
        if func in DROPOUTS and self.functional is not None:
            return _dropout(self.functional, self.module, func, args, kwargs)
        if func is ATTENTION and self.attention is not None:
            return _attention(self.attention, self.module, args, kwargs)
        if func is MULTI_HEAD and self.attention is not None:
            return _multi_head(self, args, kwargs)
        if func in RECURRENT and self.between is not None:
            return dropped_between(self.between.drawn, self.module, func, args)
        return func(*args, **kwargs)


class CallSite:
    """One call site: our pattern in place of torch's draw, or torch's draw at another rate."""

    def __init__(self, drawn: SiteNoise, rate: float | None) -> None:
        self.drawn, self.rate = drawn, rate

    def count(self) -> None:
        """Note that the site ran, where our own draw does not note it."""
        noise, site = self.drawn.noise, self.drawn.site.name
        if not torch.compiler.is_compiling():
            noise.draw_counts[site] = noise.draw_counts.get(site, 0) + 1


def _dropout(site: CallSite, module: nn.Module, func: Torch, args: Any, kwargs: Any) -> Tensor:
    names = ("input", "p", "training", "inplace")
    given: dict[str, Any] = dict(zip(names, args, strict=False)) | dict(kwargs)
    if "train" in given:
        given["training"] = given.pop("train")
    x, sampling = given["input"], site.drawn.noise.current.sampling
    # Torch hands a mode all of a call's settings, its defaults too.
    training = sampling or given["training"]
    if site.rate is not None:
        site.count()
        dropped = func(x, site.rate, training)
    else:
        dropped = site.drawn.drop(x, module) if training else x
    return x.copy_(dropped) if given.get("inplace") and training else dropped


def _attention(site: CallSite, module: nn.Module, args: Any, kwargs: Any) -> Tensor:
    names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
    given: dict[str, Any] = dict(zip(names, args, strict=False)) | dict(kwargs)
    active = site.drawn.noise.active(module.training)
    if site.rate is not None:
        site.count()
        given["dropout_p"] = site.rate if active else 0.0
        return ATTENTION(**given)
    given.pop("dropout_p", None)
    if not active:
        return ATTENTION(**given)
    return attend(drop=lambda weights: site.drawn.drop(weights, module), **given)


def _multi_head(calls: Calls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    site, module = calls.attention, calls.module
    assert site is not None
    active = site.drawn.noise.active(module.training)
    # Its own draw goes through functional dropout or fused attention, which a mode sees only if
    # the function does not hand itself over whole; so run it without that check. A rate above
    # zero makes it make the call; ours decides what the call drops.
    inner = Calls(module, functional=site, attention=site)
    changed = multi_head_arguments(args, kwargs) | {"training": active}
    changed["dropout_p"] = site.rate if site.rate is not None else 0.5
    with CallMode(inner.own):
        return unguarded(**changed)
