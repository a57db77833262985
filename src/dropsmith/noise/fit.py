"""Why a rule cannot go on in a model: what it names is not there, or its pattern has no room."""

from collections.abc import Sequence

from dropsmith.axes import Axes
from dropsmith.errors import AxisError, PatternError
from dropsmith.patterns import Off, Pattern, TorchDropout
from dropsmith.plans import Rule, Site, nearest
from dropsmith.rng import Key, Source

_IMAGE = ("height", "width")


def misfit(one: Rule, sites: Sequence[Site]) -> str | None:
    """What keeps a rule from a model with these sites, or None where nothing does.

    Args:
        one: the rule.
        sites: of the model, with the axes and sizes of a batch.
    """
    meant = [site for site in sites if one.selector.matches(site)]
    if not meant:
        names = list(dict.fromkeys(site.name for site in sites))
        return f"no site is called so; nearest: {nearest(one.selector, names)}"
    fitting = [site for site in meant if one.fits(site)]
    if not fitting:
        return _wrong_kind(one.pattern, meant[0])
    if isinstance(one.pattern, TorchDropout | Off) or one.pattern.goes_on != "activations":
        return None
    ran = [(index, site) for index, site in enumerate(fitting) if site.axes]
    if not ran:
        return f"{fitting[0].name} does not run on this batch"
    patterns = ((one.pattern.at_depth(index, len(fitting)), site) for index, site in ran)
    return next((why for pair in patterns if (why := _no_room(*pair, one.axes))), None)


def _wrong_kind(pattern: Pattern, site: Site) -> str:
    name = type(pattern).__name__
    if isinstance(pattern, TorchDropout):
        return f"{name} retunes noise that a model has, and there is none at {site.name}"
    return f"{name} goes on {pattern.goes_on}, and {site.name} is of kind {site.kind!r}"


def _no_room(pattern: Pattern, site: Site, given: str | None) -> str | None:
    """Draw one mask as the site would, for a batch of one."""
    names = tuple(given.split()) if given is not None else site.axes
    sizes = site.sizes or (1,) * len(names)
    if len(names) != len(sizes):
        return f"{site.name} has {len(sizes)} dimensions, and the rule names {given}"
    sizes = tuple(1 if n == "batch" else s for n, s in zip(names, sizes, strict=True))
    try:
        pattern.draw(Axes(names, sizes), Source(Key.of(0)))
    except (AxisError, PatternError) as error:
        said = "; ".join(line.strip() for line in str(error).splitlines())
        return f"at {site.name}: {said}"
    return _too_large(pattern, site, dict(zip(names, sizes, strict=True)))


def _too_large(pattern: Pattern, site: Site, sizes: dict[str, int]) -> str | None:
    """Where blocks or runs are longer than what they lie on, in their own pixels or steps."""
    size, scaled_to = (getattr(pattern, name, None) for name in ("size", "side"))
    along = _IMAGE if set(_IMAGE) <= set(sizes) else ("time",)
    # Shared, one decision serves the axis; fresh, each place of it is asked alone.
    held = f"{getattr(pattern, 'shared', '')} {getattr(pattern, 'fresh', '')}".split()
    sides = [sizes[name] for name in along if name in sizes and name not in held]
    if not isinstance(size, int) or not site.sizes or not sides:
        return None
    if size <= (scaled_to or min(sides)):
        return None
    return f"size {size} is larger than the {' × '.join(map(str, sides))} at {site.name}"
