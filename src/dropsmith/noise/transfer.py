"""A plan carried to a model of another width, depth or task: by rule, or not at all.

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


def transferred(
    rules: Sequence[Rule],
    model: nn.Module,
    batch: Any,
    made_for: nn.Module | None = None,
    names: LayerNames | None = None,
) -> tuple[Rule, ...]:
    """The rules as they are in another model; see `Plan.transfer`."""
    made = [(one, _carried(one, model, made_for, names or {})) for one in rules]
    known = sites(model, batch)
    faults = [
        f"  rule {number}: {one!r}\n    {why}"
        for number, (one, several) in enumerate(made, start=1)
        if (why := _first_fault(several, known))
    ]
    if faults:
        raise PlanError(_said(faults, len(rules), made_for))
    found = tuple(new for _, several in made for new in several)
    if rules and not found:
        raise PlanError(
            f"none of the {len(rules)} rules has a layer at its depth in this model\n"
            "  they are of layers that a model this shallow does not have"
        )
    return found


def _carried(
    one: Rule, model: nn.Module, made_for: nn.Module | None, names: LayerNames
) -> tuple[Rule, ...]:
    single = [_named(one, name) for name in one.selector.name.split()]
    carried = [_carried_alone(rule, model, made_for, names) for rule in single]
    if len({len(several) for several in carried}) == 1:
        return tuple(_together(news) for news in zip(*carried, strict=True))
    if one.mask == "own":
        return tuple(new for several in carried for new in several)
    raise PlanError(
        f"of the sites that drop by one mask some are more in this model\n  rule: {one!r}\n"
        "  write the rule for this model by hand"
    )


def _together(rules: Sequence[Rule]) -> Rule:
    """One rule of several that differ in the names of their sites alone."""
    return _named(rules[0], " ".join(one.selector.name for one in rules))


def _named(one: Rule, name: str) -> Rule:
    return replace(one, selector=replace(one.selector, name=name))


def _carried_alone(
    one: Rule, model: nn.Module, made_for: nn.Module | None, names: LayerNames
) -> tuple[Rule, ...]:
    here = _renamed(one.selector.name, names)
    if made_for is None:
        return tuple(_named(one, name) for name in here)
    return tuple(deeper_or_shallower(one, made_for, model, here))


def _renamed(name: str, names: LayerNames) -> list[str]:
    """What a place is called here; several, where a part of its name stands for several.

    >>> _renamed("blocks.0.query", {"blocks": ("encoder", "decoder"), "query": "attention.q"})
    ['encoder.0.attention.q', 'decoder.0.attention.q']
    """
    parts, options = name.split("."), []
    while parts:
        old = _longest_start(parts, names)
        new = names.get(old, old)
        options.append([new] if isinstance(new, str) else list(new))
        parts = parts[len(old.split(".")) :]
    return [".".join(made) for made in product(*options)]


def _longest_start(parts: Sequence[str], names: LayerNames) -> str:
    """The longest known name that a path begins with, or its first part."""
    starts = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((start for start in starts if start in names), parts[0])


def _first_fault(rules: Iterable[Rule], known: Sequence[Site]) -> str | None:
    return next((why for one in rules if (why := misfit(one, known))), None)


def _said(faults: Sequence[str], count: int, made_for: nn.Module | None) -> str:
    lines = [f"{len(faults)} of the {count} rules of the plan do not fit this model", *faults]
    if made_for is None:
        lines.append("  if only the number of layers differs: plan.transfer(..., source=the_model)")
    lines.append('  if only names differ: plan.transfer(..., names={"blocks": "encoder.layers"})')
    return "\n".join(lines)
