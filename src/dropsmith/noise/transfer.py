"""A plan adapted to a model of another width, depth or task, rule by rule.

The paper that learns patterns on small models and trains large ones with them (AutoDropout, Pham &
Le, 2021) does not say how a layer of one finds its layer in the other. What follows is ours: places
go by their names, layers by the share of the depth they lie at, and patterns stay as they are, so
that sizes are still counted in pixels or steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from torch import nn

from dropsmith.errors import PlanError
from dropsmith.noise.depth import deeper_or_shallower
from dropsmith.noise.find_sites import sites
from dropsmith.noise.fit import misfit
from dropsmith.plans import Rule, Site

LayerNames = Mapping[str, str | Sequence[str]]
"""Parts of names in one model, and what they are called in another: one name, or several."""


def transfer_rules(
    rules: Sequence[Rule],
    model: nn.Module,
    batch: Any,
    source: nn.Module | None = None,
    names: LayerNames | None = None,
) -> tuple[Rule, ...]:
    """The rules as they are in another model; see `Plan.transfer`."""
    new_rules = [_transfer(rule, model, source, names or {}) for rule in rules]
    model_sites = sites(model, batch)
    faults = [
        f"  rule {number}: {rule!r}\n    {why}"
        for number, (rule, several) in enumerate(zip(rules, new_rules, strict=True), start=1)
        if (why := _first_fault(several, model_sites))
    ]
    if faults:
        raise PlanError(_fault_message(faults, len(rules), source))
    result = tuple(new for several in new_rules for new in several)
    if rules and not result:
        raise PlanError(
            f"none of the {len(rules)} rules has a layer at its depth in this model\n"
            "  they name layers that a model of this depth does not have"
        )
    return result


def _transfer(
    rule: Rule, model: nn.Module, source: nn.Module | None, names: LayerNames
) -> tuple[Rule, ...]:
    single = [_with_name(rule, name) for name in rule.selector.name.split()]
    new_rules = [_transfer_name(part, model, source, names) for part in single]
    if len({len(several) for several in new_rules}) == 1:
        return tuple(_merge(parts) for parts in zip(*new_rules, strict=True))
    if rule.mask == "own":
        return tuple(new for several in new_rules for new in several)
    raise PlanError(
        f"of the sites that drop by one mask some are more in this model\n  rule: {rule!r}\n"
        "  write the rule for this model by hand"
    )


def _merge(rules: Sequence[Rule]) -> Rule:
    """One rule of several that differ in the names of their sites alone."""
    return _with_name(rules[0], " ".join(rule.selector.name for rule in rules))


def _with_name(rule: Rule, name: str) -> Rule:
    return replace(rule, selector=replace(rule.selector, name=name))


def _transfer_name(
    rule: Rule, model: nn.Module, source: nn.Module | None, names: LayerNames
) -> tuple[Rule, ...]:
    here = _translate(rule.selector.name, names)
    if source is None:
        return tuple(_with_name(rule, name) for name in here)
    return tuple(deeper_or_shallower(rule, source, model, here))


def _translate(name: str, names: LayerNames) -> list[str]:
    """Return the names of a place here: several, where a part of its name stands for several.

    >>> _translate("blocks.0.query", {"blocks": ("encoder", "decoder"), "query": "attention.q"})
    ['encoder.0.attention.q', 'decoder.0.attention.q']
    """
    parts, options = name.split("."), []
    while parts:
        old = _longest_start(parts, names)
        new = names.get(old, old)
        options.append([new] if isinstance(new, str) else list(new))
        parts = parts[len(old.split(".")) :]
    return [".".join(path) for path in product(*options)]


def _longest_start(parts: Sequence[str], names: LayerNames) -> str:
    """The longest known name that a path begins with, or its first part."""
    starts = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((start for start in starts if start in names), parts[0])


def _first_fault(rules: Iterable[Rule], model_sites: Sequence[Site]) -> str | None:
    return next((why for rule in rules if (why := misfit(rule, model_sites))), None)


def _fault_message(faults: Sequence[str], count: int, source: nn.Module | None) -> str:
    lines = [f"{len(faults)} of the {count} rules of the plan do not fit this model", *faults]
    if source is None:
        lines.append("  if only the number of layers differs: plan.transfer(..., source=the_model)")
    lines.append('  if only names differ: plan.transfer(..., names={"blocks": "encoder.layers"})')
    return "\n".join(lines)
