"""Noise in calls instead of modules: functional dropout, attention, `nn.LSTM`'s dropout."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from dropsmith.errors import SiteError
from dropsmith.interception import Attachment, NoisyCall, OwnCalls, attend, run_heads
from dropsmith.noise.between_layers import dropped_between
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.plans import Kind


def call_kind(call: NoisyCall, owner: nn.Module) -> Kind:
    """The kind of the site of a call: functional dropout of a recurrent layer is between layers."""
    between = isinstance(owner, nn.RNNBase) and call.kind == "functional"
    return "between" if between else call.kind


class CallSite:
    """One call site: our pattern in place of torch's draw, or torch's draw at another rate."""

    def __init__(self, site_noise: SiteNoise, rate: float | None) -> None:
        self.site_noise, self.rate = site_noise, rate

    def active(self, call: NoisyCall, module: nn.Module) -> bool:
        """Say whether the call drops: its module trains, the pass samples, or it always does."""
        always = call.training and call.rate > 0
        return always or self.site_noise.noise.active(module.training)

    def count(self) -> None:
        """Note that the site ran, where our own draw does not note it."""
        noise, site = self.site_noise.noise, self.site_noise.site.name
        if not torch.compiler.is_compiling():
            noise.draw_counts[site] = noise.draw_counts.get(site, 0) + 1


class Calls(Attachment):
    """The noise at the noisy calls of one module: each kind of call has at most one site.

    Args:
        module: the module whose own forward makes the calls.
        functional: site of its functional dropout, with the rate torch keeps or None for ours.
        attention: site of its fused, multi-head or flex attention, likewise.
        between: site between the layers of a recurrent module, always ours.
    """

    def __init__(
        self,
        module: nn.Module,
        functional: CallSite | None = None,
        attention: CallSite | None = None,
        between: CallSite | None = None,
    ) -> None:
        super().__init__(module)
        self.functional, self.attention, self.between = functional, attention, between
        torchs = isinstance(module, nn.RNNBase | nn.MultiheadAttention)
        self.own_calls = OwnCalls(module, self.handle, self.may_drop if torchs else None)

    def attach(self) -> None:
        self.own_calls.attach()

    def detach(self) -> None:
        self.own_calls.detach()

    def may_drop(self, module: nn.Module) -> bool:
        """Say whether a forward of one of torch's own layers that begins may drop.

        They drop nothing in eval mode, where they must stay as fast as they are; a module of the
        user's may.
        """
        sites = [site for site in (self.attention, self.between) if site is not None]
        return any(site.site_noise.noise.active(module.training) for site in sites)

    def handle(self, call: NoisyCall) -> Any:
        """Run one noisy call of the owner, with its site's noise where it has one."""
        kind = call.signature.kind
        if kind == "functional" and self.functional is not None:
            return _dropout(self.functional, self.module, call)
        if kind == "attention" and self.attention is not None:
            return _attention(self.attention, self.module, call)
        if kind == "between" and self.between is not None:
            return dropped_between(self.between.site_noise, self.module, call.function, call.args)
        return call.run()


def _dropout(site: CallSite, module: nn.Module, call: NoisyCall) -> Tensor:
    x, training = call.input, site.site_noise.noise.current.sampling or call.training
    if site.rate is not None:
        site.count()
        return call.run_at(site.rate, training)
    if not training:
        return x
    output = site.site_noise.drop(x, module)
    return x.copy_(output) if call.inplace else output


def _attention(site: CallSite, module: nn.Module, call: NoisyCall) -> Any:
    active = site.active(call, module)
    if site.rate is not None:
        site.count()
        return _run_at_rate(site.site_noise.site.name, site.rate if active else 0.0, call)
    if not active:
        return call.run()
    if call.operation != "multi-head attention":
        return attend(call, lambda weights: site.site_noise.drop(weights, module))
    # A rate above zero makes it make the call inside; ours decides what the call drops.
    return run_heads(call, _InnerHandle(site, module), training=True, dropout_p=0.5)


@final
@dataclass(frozen=True)
class _InnerHandle:
    """Noise at the one noisy call that multi-head attention makes inside."""

    site: CallSite
    module: nn.Module

    def __call__(self, call: NoisyCall) -> Any:
        apply = _dropout if call.kind == "functional" else _attention
        return apply(self.site, self.module, call)


def _run_at_rate(site: str, rate: float, call: NoisyCall) -> Any:
    if call.operation != "flex attention":
        return call.run_at(rate)
    if rate:
        raise SiteError(
            f"site {site!r} is flex_attention, in which torch drops nothing, so there is no draw "
            f"of torch's to set to {rate:g}\n  draw it here instead: Bernoulli(rate={rate:g})"
        )
    return call.run()
