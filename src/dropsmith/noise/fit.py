"""Reasons why a rule does not fit a model: no such site, or a pattern larger than the map."""

from collections.abc import Sequence

from dropsmith.axes import Axes
from dropsmith.errors import AxisError, PatternError
from dropsmith.patterns import Off, Pattern, TorchDropout
from dropsmith.plans import Rule, Site, nearest
from dropsmith.rng import Key, Source

_IMAGE = ("height", "width")


def misfit(rule: Rule, sites: Sequence[Site]) -> str | None:
    """Return what keeps a rule from a model with these sites, or None where nothing does.

    Args:
        rule: the rule.
        sites: those of the model, with the axes and sizes of a batch.
    """
    matches = [site for site in sites if rule.selector.matches(site)]
    if not matches:
        names = list(dict.fromkeys(site.name for site in sites))
        return f"no site is called so; nearest: {nearest(rule.selector, names)}"
    fitting = [site for site in matches if rule.fits(site)]
    if not fitting:
        return _wrong_kind(rule.pattern, matches[0])
    if isinstance(rule.pattern, TorchDropout | Off) or rule.pattern.goes_on != "activations":
        return None
    ran = [(index, site) for index, site in enumerate(fitting) if site.axes]
    if not ran:
        return f"{fitting[0].name} does not run on this batch"
    patterns = ((rule.pattern.at_depth(index, len(fitting)), site) for index, site in ran)
    return next((why for pair in patterns if (why := _no_room(*pair, rule.axes))), None)


def _wrong_kind(pattern: Pattern, site: Site) -> str:
    name = type(pattern).__name__
    if isinstance(pattern, TorchDropout):
        return f"{name} retunes noise that a model has, and there is none at {site.name}"
    return f"{name} goes on {pattern.goes_on}, and {site.name} is of kind {site.kind!r}"


def _no_room(pattern: Pattern, site: Site, axes: str | None) -> str | None:
    """Draw one mask as the site would, for a batch of one."""
    names = tuple(axes.split()) if axes is not None else site.axes
    sizes = site.sizes or (1,) * len(names)
    if len(names) != len(sizes):
        return f"{site.name} has {len(sizes)} dimensions, and the rule names {axes}"
    sizes = tuple(1 if n == "batch" else s for n, s in zip(names, sizes, strict=True))
    try:
        pattern.draw(Axes(names, sizes), Source(Key.of(0)))
    except (AxisError, PatternError) as error:
        message = "; ".join(line.strip() for line in str(error).splitlines())
        return f"at {site.name}: {message}"
    return _too_large(pattern, site, dict(zip(names, sizes, strict=True)))


def _too_large(pattern: Pattern, site: Site, sizes: dict[str, int]) -> str | None:
    """Say where blocks or runs are longer than what they lie on, in their own pixels or steps."""
    size, side = (getattr(pattern, name, None) for name in ("size", "side"))
    along = _IMAGE if set(_IMAGE) <= set(sizes) else ("time",)
    # A block has no length along an axis that shares one decision or decides at each place.
    axes_without_blocks = (
        f"{getattr(pattern, 'shared', '')} {getattr(pattern, 'fresh', '')}".split()
    )
    sides = [sizes[name] for name in along if name in sizes and name not in axes_without_blocks]
    if not isinstance(size, int) or not site.sizes or not sides:
        return None
    if size <= (side or min(sides)):
        return None
    return f"size {size} is larger than the {' × '.join(map(str, sides))} at {site.name}"
