"""Putting rules on a model and taking them off again, bit for bit."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from dropsmith.errors import PlanError
from dropsmith.interception import Attachment
from dropsmith.noise.clock import unregister
from dropsmith.noise.find_sites import sites as find_sites
from dropsmith.noise.lookup import INSTALLED, Installation, installation_of
from dropsmith.noise.module_hooks import Input, Output, Word
from dropsmith.noise.native_hooks import KeyedDropout, RetunedRate
from dropsmith.noise.noise_slots import HasNoiseSlots, InnerSiteNoise
from dropsmith.noise.root_hooks import EnterRoot, LeaveRoot, watch_loading
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.noise.skipping import depth_attribute
from dropsmith.noise.state import ATTRIBUTE, Noise
from dropsmith.noise.static_sites import module_of, possible_calls, static_sites
from dropsmith.noise.stochastic_depth import SkippedRows
from dropsmith.noise.torch_calls import Calls, CallSite
from dropsmith.noise.weight_hooks import Weight
from dropsmith.patterns import Native, Off, Path
from dropsmith.plans import Assignment, Rule, assign, no_site, unmatched


def install(
    model: nn.Module, rules: Sequence[Rule], batch: Any, seed: int, rank: int
) -> Installation:
    """Attach every rule; see `Plan.install`."""
    if installation_of(model) is not None:
        raise PlanError("this model has a plan already\n  remove it first: plan.remove(model)")
    known = find_sites(model, batch) if batch is not None else static_sites(model)
    possible = known if batch is not None else known + possible_calls(model, known)
    for index in unmatched(rules, possible):
        raise no_site(index, rules[index], (site.name for site in known), _hint(model))
    had_noise = ATTRIBUTE in model.__dict__
    noise = model.__dict__[ATTRIBUTE] if had_noise else Noise()
    noise.seed, noise.rank, noise.checked = seed, rank, False
    made = Installation(tuple(rules), assign(rules, possible), [], noise, had_noise, [])
    made.attachments = _attachments(model, made.assignments, noise)
    model.__dict__[ATTRIBUTE], model.__dict__[INSTALLED] = noise, made
    noise.clock.register(model)
    for attachment in made.attachments:
        attachment.attach()
    made.handles = [
        # The pass has to begin before any site of the root itself draws.
        model.register_forward_pre_hook(EnterRoot(noise), prepend=True),
        model.register_forward_hook(LeaveRoot(made), always_call=True),
        watch_loading(model, noise),
    ]
    # What ends the root's forward, such as a loss, has to see what the sites have returned.
    for number, hook in list(model._forward_hooks.items()):
        if getattr(hook, "last", False):
            model._forward_hooks.move_to_end(number)  # pyright: ignore
    return made


def remove(model: nn.Module) -> None:
    """Take the plan off; `PlanError` where there is none."""
    made = installation_of(model)
    if made is None:
        raise PlanError("no plan is installed on this model")
    for handle in made.handles:
        handle.remove()
    for attachment in reversed(made.attachments):
        attachment.detach()
    unregister(model)
    del model.__dict__[INSTALLED]
    if not made.had_noise:
        del model.__dict__[ATTRIBUTE]


def _hint(model: nn.Module) -> str:
    """What opens more sites, where something does."""
    layers = [m for m in model.modules() if isinstance(m, nn.RNNBase)]
    if any(isinstance(layer, HasNoiseSlots) and layer.proj_size for layer in layers):
        return (
            "\n  recurrent layers with proj_size have no noise inside: leave it out, or drop at "
            "their input, their output or their weights"
        )
    if all(isinstance(layer, HasNoiseSlots) for layer in layers):
        return ""
    return (
        "\n  for noise inside its recurrent layers convert them first: "
        "dropsmith.recurrent.convert(model)"
    )


def _attachments(
    model: nn.Module, assignments: Sequence[Assignment], noise: Noise
) -> list[Attachment]:
    made: list[Attachment] = []
    calls: dict[str, Calls] = {}
    for one in assignments:
        together = _together(one.rule, assignments)
        noise.prepare(together or one.site.name)
        shared = one.rule.views == "shared"
        # A pass has one weight, however often its module is called.
        once = one.rule.calls == "one" or one.site.kind == "weight"
        drawn = SiteNoise(noise, one.site, one.pattern, shared, one.rule.axes, together, once)
        module = module_of(model, one.site)
        if isinstance(one.pattern, Native) and shared:
            raise PlanError(
                f"torch's own noise at {one.site.name!r} cannot be shared between views\n"
                f"  draw it here instead: Bernoulli(rate={one.pattern.rate})"
            )
        if one.site.kind in ("functional", "attention", "between"):
            _add_call(made, calls, drawn, module)
        elif (attachment := _attachment(module, drawn)) is not None:
            made.append(attachment)
    return made


def _together(one: Rule, assignments: Sequence[Assignment]) -> str | None:
    """What the sites of a rule are called that drop by one mask; its masks depend on it."""
    if one.mask == "own":
        return None
    if one.selector.where is None:
        return repr(one.selector)
    # A function prints its address in memory, which another process does not have.
    return next(a.site.name for a in assignments if a.rule is one)


def _attachment(module: nn.Module, drawn: SiteNoise) -> Attachment | None:
    kind, pattern = drawn.site.kind, drawn.pattern
    if kind in ("dropout", "path"):
        rate = depth_attribute(module) or "p"
        if isinstance(pattern, Native | Off):
            return RetunedRate(module, drawn, rate, _own_rate(pattern))
        return KeyedDropout(module, drawn, rate)
    if isinstance(pattern, Off):
        return None
    if kind == "output" and isinstance(pattern, Path):
        return SkippedRows(module, drawn)
    if kind == "state":
        return InnerSiteNoise(module, drawn, drawn.site.name.rpartition(".")[2])
    if kind == "weight":
        return Weight(module, drawn, drawn.site.name.rpartition(".")[2])
    return {"output": Output, "input": Input, "words": Word}[kind](module, drawn)


def _own_rate(pattern: Native | Off) -> float:
    return pattern.rate if isinstance(pattern, Native) else 0.0


def _add_call(
    made: list[Attachment], calls: dict[str, Calls], drawn: SiteNoise, module: nn.Module
) -> None:
    site, pattern = drawn.site, drawn.pattern
    rate = _own_rate(pattern) if isinstance(pattern, Native | Off) else None
    if rate is not None and isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        made.append(RetunedRate(module, drawn, "dropout", rate))
        return
    if isinstance(module, HasNoiseSlots):
        made.append(InnerSiteNoise(module, drawn, site.name.rpartition(".")[2]))
        return
    if site.owner not in calls:
        calls[site.owner] = Calls(module)
        made.append(calls[site.owner])
    setattr(calls[site.owner], site.kind, CallSite(drawn, rate))
