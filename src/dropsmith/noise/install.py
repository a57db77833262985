"""Installation of rules on a model, and their removal without a trace."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from dropsmith.errors import PlanError
from dropsmith.instances import check_model
from dropsmith.interception import Attachment
from dropsmith.noise.bag_words import BagWords
from dropsmith.noise.clock import EnterRoot, LeaveRoot, unregister
from dropsmith.noise.fast_path import keep_fast_path
from dropsmith.noise.find_sites import sites as find_sites
from dropsmith.noise.lookup import INSTALLATION, Installation, installation_of
from dropsmith.noise.module_hooks import Input, Output, Word
from dropsmith.noise.native_hooks import KeyedDropout, RetunedRate
from dropsmith.noise.noise_slots import HasNoiseSlots, InnerSiteNoise
from dropsmith.noise.rule_checks import RuleCheck, watch_loading
from dropsmith.noise.site_noise import SiteNoise
from dropsmith.noise.skipping import depth_attribute
from dropsmith.noise.state import ATTRIBUTE, Noise
from dropsmith.noise.static_sites import module_of, possible_calls, static_sites
from dropsmith.noise.stochastic_depth import SkippedRows
from dropsmith.noise.torch_calls import Calls, CallSite
from dropsmith.noise.turns import taking_turns
from dropsmith.noise.weight_hooks import Weight
from dropsmith.numbers import check_whole
from dropsmith.patterns import Off, StochasticDepth, TorchDropout
from dropsmith.plans import Assignment, Rule, Site, assign, no_site, rules_without_sites
from dropsmith.rng import Key


@taking_turns
def install(
    model: nn.Module,
    rules: Sequence[Rule],
    batch: Any,
    seed: int,
    rank: int,
    assignments: Sequence[Assignment] | None = None,
) -> Installation:
    """Attach every rule; see `Plan.install`. `assignments` are the rules', where they are known."""
    check_model(model)
    Key.of(seed)  # refuses what is no seed
    check_whole("rank", rank, 0, PlanError)
    if installation_of(model) is not None:
        raise PlanError("this model has a plan already\n  remove it first: plan.remove(model)")
    if assignments is None:
        assignments = assign_rules(
            model, rules, None if batch is None else find_sites(model, batch)
        )
    had_noise = ATTRIBUTE in model.__dict__
    noise = model.__dict__[ATTRIBUTE] if had_noise else Noise()
    noise.seed, noise.rank, noise.rules_checked = seed, rank, False
    noise.awaits_root = True
    installation = Installation(tuple(rules), list(assignments), [], noise, had_noise, [])
    installation.attachments = _attachments(model, installation.assignments, noise)
    model.__dict__[ATTRIBUTE], model.__dict__[INSTALLATION] = noise, installation
    noise.clock.register(model)
    for attachment in installation.attachments:
        attachment.attach()
    installation.handles = [
        # The pass has to begin before any site of the root itself draws.
        model.register_forward_pre_hook(EnterRoot(noise), prepend=True),
        model.register_forward_hook(LeaveRoot(noise, RuleCheck(installation)), always_call=True),
        watch_loading(model, noise),
        *keep_fast_path(model, noise, installation.attachments),
    ]
    # What ends the root's forward, such as a loss, has to see what the sites have returned.
    for number, hook in list(model._forward_hooks.items()):
        if getattr(hook, "last", False):
            model._forward_hooks.move_to_end(number)  # pyright: ignore
    return installation


def assign_rules(
    model: nn.Module, rules: Sequence[Rule], sites: Sequence[Site] | None, first: int = 0
) -> list[Assignment]:
    """The rule that decides at each site of a model.

    Args:
        model: the root.
        rules: of a plan, in order.
        sites: of the model; None to take those that show without running it.
        first: the number of the rule at which a plan begins, by which errors count.

    Raises:
        SiteError: a rule means none of the sites.
    """
    certain = possible = sites
    if certain is None or possible is None:
        certain = static_sites(model)
        possible = certain + possible_calls(model, certain)
    for index in rules_without_sites(rules, possible):
        raise no_site(index - first, rules[index], certain, _hint(model))
    return assign(rules, possible)


@taking_turns
def remove(model: nn.Module) -> None:
    """Take the plan off; `PlanError` where there is none."""
    check_model(model)
    installation = installation_of(model)
    if installation is None:
        raise PlanError("no plan is installed on this model")
    for handle in installation.handles:
        handle.remove()
    for attachment in reversed(installation.attachments):
        attachment.detach()
    unregister(model)
    del model.__dict__[INSTALLATION]
    if not installation.had_noise:
        del model.__dict__[ATTRIBUTE]


def _hint(model: nn.Module) -> str:
    """Say what opens more sites, where something does."""
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
    attachments: list[Attachment] = []
    calls: dict[str, Calls] = {}
    for assignment in assignments:
        site, rule, pattern = assignment.site, assignment.rule, assignment.pattern
        mask_name = _mask_name(rule, assignments)
        shared = rule.views == "shared"
        # A pass has one weight, however often its module is called.
        once = rule.calls == "one" or site.kind == "weight"
        site_noise = SiteNoise(noise, site, pattern, shared, rule.axes, mask_name, once)
        module = module_of(model, site)
        if isinstance(pattern, TorchDropout) and shared:
            raise PlanError(
                f"torch's own noise at {site.name!r} cannot be shared between views\n"
                f"  draw it here instead: Bernoulli(rate={pattern.rate})"
            )
        if site.kind in ("functional", "attention", "between"):
            _add_call(attachments, calls, site_noise, module)
        elif (attachment := _attachment(module, site_noise)) is not None:
            attachments.append(attachment)
    return attachments


def _mask_name(rule: Rule, assignments: Sequence[Assignment]) -> str | None:
    """The common name of a rule's sites that drop by one mask; their masks depend on it."""
    if rule.mask == "own":
        return None
    if rule.selector.where is None:
        return repr(rule.selector)
    # A function prints its address in memory, which another process does not have.
    return next(a.site.name for a in assignments if a.rule is rule)


def _attachment(module: nn.Module, site_noise: SiteNoise) -> Attachment | None:
    kind, pattern = site_noise.site.kind, site_noise.pattern
    if kind in ("dropout", "path"):
        rate = depth_attribute(module) or "p"
        if isinstance(pattern, TorchDropout | Off):
            return RetunedRate(module, site_noise, rate, _native_rate(pattern))
        return KeyedDropout(module, site_noise, rate)
    if isinstance(pattern, Off):
        return None
    if kind == "output" and isinstance(pattern, StochasticDepth):
        return SkippedRows(module, site_noise)
    if kind == "state":
        return InnerSiteNoise(module, site_noise, site_noise.site.name.rpartition(".")[2])
    if kind == "weight":
        return Weight(module, site_noise, site_noise.site.name.rpartition(".")[2])
    if kind == "words" and isinstance(module, nn.EmbeddingBag):
        return BagWords(module, site_noise)
    return {"output": Output, "input": Input, "words": Word}[kind](module, site_noise)


def _native_rate(pattern: TorchDropout | Off) -> float:
    return pattern.rate if isinstance(pattern, TorchDropout) else 0.0


def _add_call(
    attachments: list[Attachment], calls: dict[str, Calls], site_noise: SiteNoise, module: nn.Module
) -> None:
    site, pattern = site_noise.site, site_noise.pattern
    rate = _native_rate(pattern) if isinstance(pattern, TorchDropout | Off) else None
    if rate is not None and isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        attachments.append(RetunedRate(module, site_noise, "dropout", rate))
        return
    if isinstance(module, HasNoiseSlots):
        attachments.append(InnerSiteNoise(module, site_noise, site.name.rpartition(".")[2]))
        return
    if site.owner not in calls:
        calls[site.owner] = Calls(module)
        attachments.append(calls[site.owner])
    setattr(calls[site.owner], site.kind, CallSite(site_noise, rate))
