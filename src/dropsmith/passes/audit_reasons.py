"""Why noise is off, or the same for two views."""

from collections.abc import Iterable

from torch import nn

from dropsmith.noise import owner_module
from dropsmith.patterns import Off, Spans, Tiles, TorchDropout
from dropsmith.plans import Rule, Site

UNKNOWN_ROWS = "which of its rows belong to which view is not known"
SKIPPED = "a call like this skips it: fused fast path"


def how_drawn(rule: Rule | None) -> str:
    """Whose draw a site has: torch's, torch's at another rate, ours, or none."""
    if rule is None:
        return "torch"
    if isinstance(rule.pattern, Off):
        return "off"
    return "retuned" if isinstance(rule.pattern, TorchDropout) else "keyed"


def reason(model: nn.Module, site: Site, rule: Rule | None, on: bool, apart: bool | None) -> str:
    """Why a site that ran changed nothing, or changed two views alike; empty if neither."""
    module = owner_module(model, site.owner)
    if not on and rule is not None and isinstance(rule.pattern, Off):
        return "silenced by the plan"
    if not on and not module.training:
        return "eval mode"
    if not on and site.rate:
        return f"declares rate {site.rate:g} but drops nothing"
    if not on and rule is not None and isinstance(rule.pattern, Spans | Tiles):
        return "every row left whole: it would keep nothing, or nothing fell on it"
    if not on:
        return "rate 0"
    if apart is None:
        return "too few elements to tell the views apart"
    if not apart and rule is not None and rule.views == "shared":
        return "shared by the plan"
    if apart and rule is not None and rule.mask == "one":
        return "one mask for all sites of its rule"
    return "" if apart else "one mask for the whole batch"


def reason_code(generators: Iterable[str], layer_drop: float | None) -> str:
    """What a module's own code draws, in words."""
    names = {"torch": "torch's", "numpy": "NumPy's", "random": "Python's"}
    used = " and ".join(names[one] for one in sorted(generators))
    said = [f"layer drop at rate {layer_drop:g}"] if layer_drop else []
    said += [f"its own code draws from {used} generator, which no rule reaches"] if used else []
    return "; ".join(said)


def left_whole(rule: Rule | None, whole: int, rows: int) -> str:
    """How many rows a tiling left as they were: it missed them, or would have kept nothing."""
    if rule is None or not isinstance(rule.pattern, Spans | Tiles) or not whole:
        return ""
    return f"{whole} of {rows} rows left whole"


def reason_never(model: nn.Module, site: Site, rule: Rule | None) -> str:
    """Why nothing was seen at a site."""
    if rule is not None and isinstance(rule.pattern, Off):
        return "silenced by the plan"
    if not owner_module(model, site.owner).training:
        return "eval mode"
    if site.rate == 0:
        return "rate 0"
    return "never called: what owns it may read its rate"
