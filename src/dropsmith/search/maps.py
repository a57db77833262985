"""Which maps of a convolutional network may drop something, and which shortcut is beside them."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dropsmith.noise import owner_module
from dropsmith.plans import Selector, Site
from dropsmith.search.group import Group, Tied, compact

SHORTCUTS = ("shortcut", "downsample", "skip", "residual", "identity")
"""Names under which models keep what stands beside a layer; ours."""

_NORMS = (_BatchNorm, nn.GroupNorm, nn.InstanceNorm2d)
_IMAGE = ("batch", "channel", "height", "width")


def maps(
    model: nn.Module,
    found: list[Site],
    where: Selector,
    tied: Tied,
    shortcuts: tuple[str, ...],
) -> Iterator[Group]:
    """The maps that may be chosen, in groups, in the order of the model.

    Args:
        model: the root.
        found: all of its sites.
        where: which may be chosen at all.
        tied: whether maps of one height and width are a group.
        shortcuts: names of the modules that stand beside a layer.
    """
    outputs = [site for site in found if site.kind == "output" and _is_map(site)]
    beside = {block: site for site in outputs if (block := _block(site, shortcuts)) is not None}
    own = [site for site in outputs if _block(site, shortcuts) is None and where.matches(site)]
    chosen = _of_type(model, own, _NORMS) or _of_type(model, own, (nn.Conv2d,))
    grouped: dict[str, list[Site]] = {}
    for site in chosen:
        height, width = site.sizes[2:]
        name = f"{height}x{width}" if tied == "resolution" else site.name
        grouped.setdefault(name, []).append(site)
    pairs = _pairs(chosen, beside)
    for name, members in grouped.items():
        alone = [site.name for site in members if site.name not in pairs]
        yield Group(
            name=name,
            sites=compact([site.name for site in members], found),
            alone=compact(alone, found),
            pairs=tuple(f"{s.name} {pairs[s.name]}" for s in members if s.name in pairs),
            side=min(members[0].sizes[2:]),
        )


def _is_map(site: Site) -> bool:
    return site.axes == _IMAGE and min(site.sizes[2:]) > 1


def _of_type(model: nn.Module, found: list[Site], types: tuple[type, ...]) -> list[Site]:
    return [site for site in found if isinstance(owner_module(model, site.owner), types)]


def _block(site: Site, shortcuts: tuple[str, ...]) -> str | None:
    """The module in which a shortcut stands, if the site is one."""
    parts = site.name.split(".")
    names = [index for index, part in enumerate(parts) if part in shortcuts]
    return ".".join(parts[: names[0]]) if names else None


def _pairs(chosen: list[Site], beside: dict[str, Site]) -> dict[str, str]:
    """For the last layer of each block with maps of the shortcut's size, the shortcut."""
    found: dict[str, str] = {}
    for block, shortcut in beside.items():
        head = f"{block}." if block else ""
        inside = [s for s in chosen if s.name.startswith(head) and s.sizes == shortcut.sizes]
        if inside:
            found[inside[-1].name] = shortcut.name
    return found
