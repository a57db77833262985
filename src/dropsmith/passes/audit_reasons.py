"""The reasons that an audit gives for noise that is off, or equal in two views."""

from collections.abc import Iterable

from torch import nn

from dropsmith.noise import owner_module
from dropsmith.patterns import Off, Spans, Tiles, TorchDropout
from dropsmith.plans import Rule, Site

UNKNOWN_ROWS = "which of its rows belong to which view is not known"
FAST_PATH = "a call like this skips it: fused fast path"
ONE_VIEW = "it ran in one of the two views only"
SKIPPED_IN_ONE_VIEW = "layer drop skipped its layer in one of the two views"
SKIPPED_IN_BOTH_VIEWS = "layer drop skipped its layer in both views"
ALL_ZERO = "everything it was given is zero or not finite, which shows no noise"


def how_drawn(rule: Rule | None) -> str:
    """The owner of a site's draw: torch, torch at another rate, a key of ours, or nobody."""
    if rule is None:
        return "torch"
    if isinstance(rule.pattern, Off):
        return "off"
    return "retuned" if isinstance(rule.pattern, TorchDropout) else "keyed"


def reason(
    model: nn.Module, site: Site, rule: Rule | None, on: bool, apart: bool, zero: bool
) -> str:
    """The reason why a site that ran changed nothing, or two views alike; empty if neither.

    Args:
        model: the root.
        site: the place.
        rule: the one that decides there.
        on: whether anything was changed.
        apart: whether two views were changed differently.
        zero: whether no element that it was given could show noise.
    """
    module = owner_module(model, site.owner)
    if not on and rule is not None and isinstance(rule.pattern, Off):
        return "silenced by the plan"
    if not on and not module.training:
        return "eval mode"
    if not on and site.rate and zero:
        return ALL_ZERO
    if not on and site.rate:
        return f"declares rate {site.rate:g} but drops nothing"
    if not on and rule is not None and isinstance(rule.pattern, Spans | Tiles):
        return "every row left whole: it would keep nothing, or nothing fell on it"
    if not on:
        return "rate 0"
    if not apart and rule is not None and rule.views == "shared":
        return "shared by the plan"
    if apart and rule is not None and rule.mask == "one":
        return "one mask for all sites of its rule"
    return "" if apart else "one mask for the whole batch"


def reason_unknown(once: bool, skippable: bool, rows_known: bool) -> str:
    """The reason why it cannot be told whether two views were changed differently.

    Args:
        once: whether the site ran in one of the views only.
        skippable: whether layer drop may skip its layer.
        rows_known: whether it is known which of its rows belong to which view.
    """
    if once:
        return SKIPPED_IN_ONE_VIEW if skippable else ONE_VIEW
    return "too few draws to tell the views apart" if rows_known else UNKNOWN_ROWS


def reason_code(generators: Iterable[str], layer_drop: float | None) -> str:
    """The noise that a module's own code draws, in words."""
    names = {"torch": "torch's", "numpy": "NumPy's", "random": "Python's"}
    owners = " and ".join(names[generator] for generator in sorted(generators))
    reasons = [f"layer drop at rate {layer_drop:g}"] if layer_drop else []
    if owners:
        reasons.append(f"its own code draws from {owners} generator, which no rule reaches")
    return "; ".join(reasons)


def unchanged_rows_note(rule: Rule | None, unchanged_rows: int, rows: int) -> str:
    """Count the rows that a tiling left as they were: it missed them, or would drop all of them."""
    if rule is None or not isinstance(rule.pattern, Spans | Tiles) or not unchanged_rows:
        return ""
    return f"{unchanged_rows} of {rows} rows left whole"


def reason_never(model: nn.Module, site: Site, rule: Rule | None, skippable: bool) -> str:
    """The reason why a site never ran."""
    if rule is not None and isinstance(rule.pattern, Off):
        return "silenced by the plan"
    if not owner_module(model, site.owner).training:
        return "eval mode"
    if site.rate == 0:
        return "rate 0"
    # A site that has sizes was called in a run of all layers.
    if skippable and site.sizes:
        return SKIPPED_IN_BOTH_VIEWS
    return "never called; its parent may pass the rate to another call"
