"""The rule that decides at each site, and the words for a rule that means none."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from dropsmith.errors import SiteError
from dropsmith.patterns import Pattern
from dropsmith.plans.rule import Rule
from dropsmith.plans.selector import Selector
from dropsmith.plans.site import Site


@dataclass(frozen=True)
class Assignment:
    """One site and the rule that decides there, its pattern resolved for the site's depth."""

    site: Site
    rule: Rule
    pattern: Pattern


def assign(rules: Sequence[Rule], sites: Sequence[Site]) -> list[Assignment]:
    """What happens at each site that a rule means; later rules win."""
    chosen: dict[tuple[str, str], Assignment] = {}
    for one in rules:
        meant = [site for site in sites if one.fits(site)]
        for index, site in enumerate(meant):
            pattern = one.pattern.at_depth(index, len(meant))
            chosen[site.name, _room(site)] = Assignment(site, one, pattern)
    return list(chosen.values())


def unmatched(rules: Sequence[Rule], sites: Sequence[Site]) -> list[int]:
    """The indices of the rules that mean none of these sites."""
    return [i for i, one in enumerate(rules) if not any(one.fits(site) for site in sites)]


def no_site(index: int, one: Rule, names: Iterable[str], hint: str = "") -> SiteError:
    """The error for a rule that means no site, with the nearest names and what else may help."""
    known = list(dict.fromkeys(names))
    return SiteError(
        f"rule {index + 1} of the plan matched no site\n  rule: {one!r}\n"
        f"  this model has {len(known)} sites; nearest: {nearest(one.selector, known)}\n"
        "  to list them all: dropsmith.sites(model, batch)" + hint
    )


def nearest(selector: Selector, names: Sequence[str]) -> str:
    """The names that a selector may have been meant for, as one line."""
    near = get_close_matches(selector.name.replace("*", "0"), names, n=4, cutoff=0.4)
    return ", ".join(near or names[:4]) or "none"


def _room(site: Site) -> str:
    # An embedding is one name for two sites: its rows by word, and its output.
    return "words" if site.kind == "words" else "tensor"
