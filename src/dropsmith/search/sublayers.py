"""Which steps inside a model's Transformer blocks may drop something."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from dropsmith.activations import Layer, Reads, read_blocks
from dropsmith.batches import call
from dropsmith.noise import owner_module, unchanged
from dropsmith.plans import ROOT, Selector, Site
from dropsmith.search.group import Group, Tied, compact


def blocks_of(model: nn.Module, batch: Any, blocks: str | None) -> tuple[Layer, ...]:
    """The Transformer blocks of a model, in the order in which they ran."""
    reads = Reads(hidden="block", attention=blocks is None, blocks=blocks)
    with unchanged(model), torch.no_grad(), read_blocks(model, reads) as read:
        model.train()
        call(model, batch)
    return read.layers


def sublayers(
    model: nn.Module,
    found: list[Site],
    layers: tuple[Layer, ...],
    where: Selector,
    tied: Tied,
) -> Iterator[Group]:
    """The sub-layers that may be chosen, in groups, in the order of the model.

    Args:
        model: the root.
        found: all of its sites.
        layers: its blocks.
        where: which may be chosen at all.
        tied: whether a sub-layer is one group in all blocks of a stack.
    """
    several = len({layer.stack for layer in layers}) > 1
    grouped: dict[str, list[str]] = {}
    for layer in {layer.name: layer for layer in layers}.values():
        head = layer.stack if several else ""
        for site in found:
            role = _role(model, site, layer.name)
            if role is None or not where.matches(site):
                continue
            names = (layer.name if tied == "none" else head, role)
            grouped.setdefault(".".join(filter(None, names)), []).append(site.name)
    for name, members in grouped.items():
        yield Group(name=name, sites=compact(members, found))


def _role(model: nn.Module, site: Site, block: str) -> str | None:
    """What a site is called within a block, if it is a sub-layer of it."""
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
