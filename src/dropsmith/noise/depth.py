"""The layers of one model that lie at the depth of another's, by their numbers."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from torch import nn

from dropsmith.noise.static_sites import static_sites
from dropsmith.plans import Rule, Selector, glob_matches, number_in

_CALL = re.compile(r"\.\w+\(\)$")


def counterparts(layer: int, count: int, here: int) -> range:
    """Return the layers, of `here` in all, that take after layer `layer` of `count`.

    Each takes after the one that its middle lies in, both stacks drawn to one height. So in a
    deeper model several take after one, and in a shallower some layers have nobody.

    >>> counterparts(0, 2, 4), counterparts(0, 4, 2), counterparts(1, 4, 2)
    (range(0, 2), range(0, 0), range(0, 1))
    """
    layers = [n for n in range(here) if (2 * n + 1) * count // (2 * here) == layer]
    return range(layers[0], layers[-1] + 1) if layers else range(0)


def layers_in(model: nn.Module, name: str) -> int:
    """Count the layers in the module of a name (or glob): children of one class, by number.

    0 where there is no such module, or where its children are no layers but steps of other kinds.

    >>> layers_in(nn.ModuleDict({"blocks": nn.ModuleList(nn.Linear(1, 1) for _ in range(3))}), "*")
    3
    """
    modules = (part for path, part in model.named_modules() if glob_matches(name, path))
    return max((_alike(module) for module in modules), default=0)


def _alike(module: nn.Module) -> int:
    children = [child for name, child in module.named_children() if name.isdigit()]
    return len(children) if len({type(child) for child in children}) == 1 else 0


def deeper_or_shallower(
    rule: Rule, there: nn.Module, here: nn.Module, names: Iterable[str]
) -> Iterator[Rule]:
    """The rules for one model that say what a rule says of another.

    Args:
        rule: of the other model.
        there: the model it was made for.
        here: the model it is wanted for.
        names: what the places of its name are called here.
    """
    counts = _counts(there, rule.selector.name)
    for name in names:
        for full in _renumbered_names(here, name.split("."), counts):
            selector = replace(rule.selector, name=full)
            yield from _with_depth_range(replace(rule, selector=selector), there, here)


def _counts(model: nn.Module, name: str) -> list[int]:
    """For each number in a name, of how many layers it counts one."""
    parts = name.split(".")
    numbers = [index for index, part in enumerate(parts) if part.isdigit()]
    return [layers_in(model, ".".join(parts[:index])) for index in numbers]


def _renumbered_names(
    model: nn.Module, parts: Sequence[str], counts: Sequence[int], prefix: tuple[str, ...] = ()
) -> Iterator[str]:
    """The name with each number of a layer carried over, the outer ones first."""
    if not parts:
        yield ".".join(prefix)
        return
    first, rest = parts[0], parts[1:]
    if not first.isdigit():
        yield from _renumbered_names(model, rest, counts, (*prefix, first))
        return
    count, here = (counts or [0])[0], layers_in(model, ".".join(prefix))
    same = range(int(first), int(first) + 1)
    for number in counterparts(int(first), count, here) if count and here else same:
        yield from _renumbered_names(model, rest, counts[1:], (*prefix, str(number)))


def _with_depth_range(rule: Rule, there: nn.Module, here: nn.Module) -> Iterator[Rule]:
    """The rule with its range of depths, where it has one, drawn to the height of this model."""
    if rule.selector.depth is None:
        yield rule
        return
    start, end = rule.selector.depth
    count, here_count = _height(rule.selector, there), _height(rule.selector, here)
    layers = [n for old in range(start, end) for n in counterparts(old, count, here_count)]
    if not count or not here_count:
        yield rule
    elif layers:
        depth = (min(layers), max(layers) + 1)
        yield replace(rule, selector=replace(rule.selector, depth=depth))


def _height(selector: Selector, model: nn.Module) -> int:
    """Count the layers among the places that a selector means at any depth."""
    # A call is named by its module, and cannot be told without running the model.
    glob = _CALL.sub("", selector.name)
    names = {name for name, _ in model.named_modules()} | {s.name for s in static_sites(model)}
    numbers = (number_in(name) for name in names if glob_matches(glob, name))
    return max((number + 1 for number in numbers if number is not None), default=0)
