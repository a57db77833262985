"""The noise a model already has, written as a plan: every native site at the rate it declares."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dropsmith.errors import NoiseError
from dropsmith.patterns import Bernoulli, Native
from dropsmith.predict.declared import Calls, Declared, declared_calls
from dropsmith.sites import Plan, Rule, Site, rule, sites
from dropsmith.sites._site import owner_module
from dropsmith.sites.drawn import Drawn

_SPATIAL = ("time", "height", "width")
_PLAIN = (nn.Dropout.forward, nn.Dropout1d.forward, nn.Dropout2d.forward, nn.Dropout3d.forward)


def native_plan(model: nn.Module, batch: Any) -> Plan:
    """The model's own noise as a plan: a rule for each native site that drops, at its own rate.

    Masks are drawn by key, so they come back; whole channels stay whole (`nn.Dropout2d` and its
    like). What has no mask to multiply by (alpha dropout, a dropout class of the user's, the
    layers of an LSTM fed with packed sequences) keeps torch's own draw. Sites that declare rate 0
    or never run have no rule. The model is run in train mode, without gradients or traces.

    >>> import torch
    >>> net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 2))
    >>> native_plan(net, torch.ones(3, 4))
    Plan(
        rule('1', Bernoulli(rate=0.2)),
    )

    Args:
        model: any module.
        batch: what it takes: a tensor, a tuple of arguments, or a mapping of them by name.

    Raises:
        NoiseError: calls of one site differ, which a rule cannot say. `predict` takes such models.
    """
    calls = declared_calls(model, batch)
    for name, made in mixed(calls).items():
        raise NoiseError(
            f"site {name!r} drops differently from call to call, and a rule has one pattern\n"
            f"  its calls: {', '.join(repr(one.pattern) for one in made)}"
        )
    return Plan(*native_rules(model, sites(model, batch), calls))


def native_rules(model: nn.Module, known: list[Site], calls: Calls) -> list[Rule]:
    """A rule for each native site; where the calls of one differ, that of the highest rate."""
    found = [(site, _declared(owner_module(model, site.owner), site, calls)) for site in known]
    chosen = [(site, one) for site, one in found if one is not None and one.rate]
    return [rule(site.name, one.pattern, axes=one.axes) for site, one in chosen]


def mixed(calls: Calls) -> Calls:
    """The sites whose calls do not all drop alike."""
    return {name: made for name, made in calls.items() if len(set(made)) > 1}


@dataclass(eq=False)
class CallByCall(Drawn):
    """Noise at a site whose calls, counted within a pass, do not all drop alike."""

    calls: tuple[Declared, ...] = ()

    @classmethod
    def of(cls, one: Drawn, calls: tuple[Declared, ...]) -> "CallByCall":
        """The noise of `one`, each call with the pattern it declares."""
        if any(isinstance(call.pattern, Native) for call in calls):
            raise NoiseError(
                f"site {one.site.name!r} mixes alpha dropout with calls that differ from it\n"
                "  make each a module (nn.AlphaDropout, nn.Dropout), so that each is a site"
            )
        return cls(one.noise, one.site, one.pattern, one.shared, one.axes, calls)

    def drop(self, x: Tensor, module: nn.Module) -> Tensor:
        index = self.noise.current.calls.get(self.site.name, 0)
        own = self.calls[min(index, len(self.calls) - 1)]
        return Drawn(self.noise, self.site, own.pattern, self.shared, own.axes).drop(x, module)


def _declared(module: nn.Module, site: Site, calls: Calls) -> Declared | None:
    if site.kind == "dropout":
        return _of_dropout(module, site)
    made = calls.get(site.name, ()) if site.native else ()
    return max(made, key=lambda one: one.rate, default=None)


def _of_dropout(module: nn.Module, site: Site) -> Declared | None:
    # One that is read and not called has no sizes: another site uses its rate.
    if not site.rate or not site.sizes:
        return None
    if type(module).forward not in _PLAIN:
        return Declared(Native(rate=site.rate))
    channels = not isinstance(module, nn.Dropout)
    shared = " ".join(axis for axis in site.axes if axis in _SPATIAL) if channels else ""
    return Declared(Bernoulli(rate=site.rate, shared=shared))
