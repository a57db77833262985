"""Putting rules on a model and taking them off again, bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from dropsmith.errors import PlanError, SiteError
from dropsmith.patterns import Native, Off, Path
from dropsmith.sites.attach import Attachment, Input, Output, Word
from dropsmith.sites.attach_declared import Keyed, Retuned
from dropsmith.sites.attach_weight import Weight
from dropsmith.sites.batch import tensors_in
from dropsmith.sites.calls import Calls, CallSite
from dropsmith.sites.drawn import Drawn
from dropsmith.sites.find import sites as find_sites
from dropsmith.sites.left import Left
from dropsmith.sites.loaded import warn_if_loaded, watch_loading
from dropsmith.sites.names import call_name
from dropsmith.sites.noise import ATTRIBUTE, Noise
from dropsmith.sites.path import Skipping
from dropsmith.sites.places import Declares
from dropsmith.sites.rule import Assignment, Rule, assign, no_site, unmatched
from dropsmith.sites.site import Kind, Site, owner_module, static_sites

INSTALLED = "_dropsmith_installed"


@dataclass(eq=False)
class Installation:
    """What is on a model, and what it takes to get it off."""

    rules: tuple[Rule, ...]
    assignments: list[Assignment]
    attachments: list[Attachment]
    noise: Noise
    had_noise: bool
    handles: list[RemovableHandle]


def installation_of(model: nn.Module) -> Installation | None:
    """What is installed on this very module, or None."""
    return model.__dict__.get(INSTALLED)


def install(
    model: nn.Module, rules: Sequence[Rule], batch: Any, seed: int, rank: int
) -> Installation:
    """Attach every rule; see `Plan.install`."""
    if installation_of(model) is not None:
        raise PlanError("this model has a plan already\n  remove it first: plan.remove(model)")
    known = find_sites(model, batch) if batch is not None else static_sites(model)
    possible = known if batch is not None else known + _possible(model, known)
    for index in unmatched(rules, possible):
        raise no_site(index, rules[index], (site.name for site in known), _hint(model))
    had_noise = ATTRIBUTE in model.__dict__
    noise = model.__dict__[ATTRIBUTE] if had_noise else Noise()
    noise.seed, noise.rank, noise.checked = seed, rank, False
    made = Installation(tuple(rules), assign(rules, possible), [], noise, had_noise, [])
    made.attachments = _attachments(model, made.assignments, noise)
    model.__dict__[ATTRIBUTE], model.__dict__[INSTALLED] = noise, made
    for attachment in made.attachments:
        attachment.attach()
    made.handles = [
        # The pass has to begin before any site of the root itself draws.
        model.register_forward_pre_hook(_Enter(noise), prepend=True),
        model.register_forward_hook(_Exit(made)),
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
    del model.__dict__[INSTALLED]
    if not made.had_noise:
        del model.__dict__[ATTRIBUTE]


def _hint(model: nn.Module) -> str:
    """What opens more sites, where something does."""
    layers = [m for m in model.modules() if isinstance(m, nn.RNNBase)]
    if any(isinstance(layer, Declares) and layer.proj_size for layer in layers):
        return (
            "\n  recurrent layers with proj_size have no noise inside: leave it out, or drop at "
            "their input, their output or their weights"
        )
    if all(isinstance(layer, Declares) for layer in layers):
        return ""
    return (
        "\n  for noise inside its recurrent layers convert them first: "
        "dropsmith.recurrent.convert(model)"
    )


class _Enter:
    def __init__(self, noise: Noise) -> None:
        self.noise = noise

    def __call__(self, module: nn.Module, args: Any) -> None:
        if self.noise.held:
            return
        if module.training and not torch.compiler.is_compiling():
            warn_if_loaded(self.noise)
        self.noise.begin(module.training)


class _Exit:
    def __init__(self, made: Installation) -> None:
        self.made = made

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        # What runs in compiled code is not counted, and is not run again but compiled for backward.
        if torch.compiler.is_compiling():
            return
        noise = self.made.noise
        if not noise.checked and noise.active(module.training):
            noise.checked = True
            check_fired(self.made)
        noise.restore_in_backward(tensors_in(output))


def check_fired(made: Installation) -> None:
    """Raise `SiteError` for the first rule of which no site ran."""
    for index, one in enumerate(made.rules):
        own = [a.site.name for a in made.assignments if a.rule is one]
        # A retuned module may be read instead of called, as Hugging Face attention reads its own.
        silent = isinstance(one.pattern, Off | Native) or getattr(one.pattern, "rate", 1) == 0
        if own and not silent and not any(made.noise.fired.get(name) for name in own):
            raise SiteError(
                f"rule {index + 1} of the plan has noise at {', '.join(own[:3])}, which never ran\n"
                f"  rule: {one!r}\n"
                "  a module whose settings are read but which is not called drops elsewhere: look "
                "for its attention() or dropout() site with dropsmith.sites(model, batch)"
            )


def _possible(model: nn.Module, known: Sequence[Site]) -> list[Site]:
    """Calls that a module of the user's may make; torch's own layers make none but the known."""
    names = {site.name for site in known}
    kinds: tuple[Kind, ...] = ("functional", "attention")
    return [
        Site(name=full, kind=kind, owner=owner, type=type(module).__name__)
        for owner, module in ((n or "root", m) for n, m in model.named_modules())
        if not type(module).__module__.startswith("torch.nn.modules.")
        for kind in kinds
        if (full := call_name(owner, kind)) not in names
    ]


def _attachments(
    model: nn.Module, assignments: Sequence[Assignment], noise: Noise
) -> list[Attachment]:
    made: list[Attachment] = []
    calls: dict[str, Calls] = {}
    for one in assignments:
        together = _together(one.rule, assignments)
        noise.prepare(together or one.site.name)
        shared = one.rule.views == "shared"
        drawn = Drawn(noise, one.site, one.pattern, shared, one.rule.axes, together)
        module = owner_module(model, one.site.owner)
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


def _attachment(module: nn.Module, drawn: Drawn) -> Attachment | None:
    kind, pattern = drawn.site.kind, drawn.pattern
    if kind == "dropout" and isinstance(pattern, Native | Off):
        return Retuned(module, drawn, "p", _own_rate(pattern))
    if isinstance(pattern, Off):
        return None
    if kind == "output" and isinstance(pattern, Path):
        return Skipping(module, drawn)
    if kind == "state":
        return Left(module, drawn, drawn.site.name.rpartition(".")[2])
    if kind == "weight":
        return Weight(module, drawn, drawn.site.name.rpartition(".")[2])
    return {"dropout": Keyed, "output": Output, "input": Input, "words": Word}[kind](module, drawn)


def _own_rate(pattern: Native | Off) -> float:
    return pattern.rate if isinstance(pattern, Native) else 0.0


def _add_call(
    made: list[Attachment], calls: dict[str, Calls], drawn: Drawn, module: nn.Module
) -> None:
    site, pattern = drawn.site, drawn.pattern
    rate = _own_rate(pattern) if isinstance(pattern, Native | Off) else None
    if rate is not None and isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        made.append(Retuned(module, drawn, "dropout", rate))
        return
    if isinstance(module, Declares):
        made.append(Left(module, drawn, site.name.rpartition(".")[2]))
        return
    if site.owner not in calls:
        calls[site.owner] = Calls(module)
        made.append(calls[site.owner])
    setattr(calls[site.owner], site.kind, CallSite(drawn, rate))
