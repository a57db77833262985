"""The groups of sites that a model offers to a space.

Of a convolutional network they are maps, with the shortcuts beside them; of a Transformer, the
sub-layers of its blocks.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dropsmith.activations import Layer, Reads, read_blocks
from dropsmith.batches import call
from dropsmith.noise import owner_module, state_unchanged
from dropsmith.pattern_search.spaces.group import Group, Tied, compact
from dropsmith.plans import ROOT, Selector, Site

SHORTCUT_NAMES = ("shortcut", "downsample", "skip", "residual", "identity")
"""Names under which models keep the shortcut beside a layer; ours."""

_NORMS = (_BatchNorm, nn.GroupNorm, nn.InstanceNorm2d)
_IMAGE = ("batch", "channel", "height", "width")


def map_groups(
    model: nn.Module,
    sites: list[Site],
    where: Selector,
    tied: Tied,
    shortcuts: tuple[str, ...],
) -> Iterator[Group]:
    """Yield the maps that may be chosen, in groups, in the order of the model.

    Args:
        model: the root.
        sites: all of its sites.
        where: which may be chosen at all.
        tied: whether maps of one height and width are a group.
        shortcuts: names of the modules that stand beside a layer.
    """
    outputs = [site for site in sites if site.kind == "output" and _is_map(site)]
    shortcut_sites = {
        block: site for site in outputs if (block := _block(site, shortcuts)) is not None
    }
    layers = [site for site in outputs if _block(site, shortcuts) is None and where.matches(site)]
    candidates = _of_type(model, layers, _NORMS) or _of_type(model, layers, (nn.Conv2d,))
    groups: dict[str, list[Site]] = {}
    for site in candidates:
        height, width = site.sizes[2:]
        name = f"{height}x{width}" if tied == "resolution" else site.name
        groups.setdefault(name, []).append(site)
    pairs = _pairs(candidates, shortcut_sites)
    for name, members in groups.items():
        alone = [site.name for site in members if site.name not in pairs]
        yield Group(
            name=name,
            sites=compact([site.name for site in members], sites),
            alone=compact(alone, sites),
            pairs=tuple(f"{s.name} {pairs[s.name]}" for s in members if s.name in pairs),
            side=min(members[0].sizes[2:]),
        )


def _is_map(site: Site) -> bool:
    return site.axes == _IMAGE and min(site.sizes[2:]) > 1


def _of_type(model: nn.Module, sites: list[Site], types: tuple[type, ...]) -> list[Site]:
    return [site for site in sites if isinstance(owner_module(model, site.owner), types)]


def _block(site: Site, shortcuts: tuple[str, ...]) -> str | None:
    """The module in which a shortcut stands, if the site is one."""
    parts = site.name.split(".")
    names = [index for index, part in enumerate(parts) if part in shortcuts]
    return ".".join(parts[: names[0]]) if names else None


def _pairs(layers: list[Site], shortcut_sites: dict[str, Site]) -> dict[str, str]:
    """For the last layer of each block with maps of the shortcut's size, the shortcut."""
    pairs: dict[str, str] = {}
    for block, shortcut in shortcut_sites.items():
        head = f"{block}." if block else ""
        inside = [s for s in layers if s.name.startswith(head) and s.sizes == shortcut.sizes]
        if inside:
            pairs[inside[-1].name] = shortcut.name
    return pairs


def find_blocks(model: nn.Module, batch: Any, blocks: str | None) -> tuple[Layer, ...]:
    """The Transformer blocks of a model, in the order in which they ran."""
    reads = Reads(hidden="block", attention=blocks is None, blocks=blocks)
    with state_unchanged(model), torch.no_grad(), read_blocks(model, reads) as read:
        model.train()
        call(model, batch)
    return read.layers


def sublayer_groups(
    model: nn.Module,
    sites: list[Site],
    layers: tuple[Layer, ...],
    where: Selector,
    tied: Tied,
) -> Iterator[Group]:
    """Yield the sub-layers that may be chosen, in groups, in the order of the model.

    Args:
        model: the root.
        sites: all of its sites.
        layers: its blocks.
        where: which may be chosen at all.
        tied: whether a sub-layer is one group in all blocks of a stack.
    """
    many_stacks = len({layer.stack for layer in layers}) > 1
    groups: dict[str, list[str]] = {}
    for layer in {layer.name: layer for layer in layers}.values():
        head = layer.stack if many_stacks else ""
        for site in sites:
            role = _role(model, site, layer.name)
            if role is None or not where.matches(site):
                continue
            names = (layer.name if tied == "none" else head, role)
            groups.setdefault(".".join(filter(None, names)), []).append(site.name)
    for name, members in groups.items():
        yield Group(name=name, sites=compact(members, sites))


def _role(model: nn.Module, site: Site, block: str) -> str | None:
    """The name of a site within a block, if it is a sub-layer of it."""
    if site.kind != "output" or not {"batch", "time", "unit"} <= set(site.axes):
        return None
    if site.name == block:
        return "block"
    if block != ROOT and not site.name.startswith(f"{block}."):
        return None
    module = owner_module(model, site.owner)
    weight = module._parameters.get("weight")
    projects = weight is not None and weight.ndim == 2 and not isinstance(module, nn.Embedding)
    if not projects and not isinstance(module, nn.MultiheadAttention):
        return None
    return site.name if block == ROOT else site.name.removeprefix(f"{block}.")
