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
    """Assign to each site that a rule means the last such rule."""
    assignments: dict[tuple[str, str], Assignment] = {}
    for rule in rules:
        matches = [site for site in sites if rule.fits(site)]
        for index, site in enumerate(matches):
            pattern = rule.pattern.at_depth(index, len(matches))
            assignments[site.name, _room(site)] = Assignment(site, rule, pattern)
    return list(assignments.values())


def rules_without_sites(rules: Sequence[Rule], sites: Sequence[Site]) -> list[int]:
    """The indices of the rules that mean none of these sites."""
    return [i for i, rule in enumerate(rules) if not any(rule.fits(site) for site in sites)]


def no_site(index: int, rule: Rule, names: Iterable[str], hint: str = "") -> SiteError:
    """The error for a rule that means no site, with the nearest names and what else may help."""
    site_names = list(dict.fromkeys(names))
    return SiteError(
        f"rule {index + 1} of the plan matched no site\n  rule: {rule!r}\n"
        f"  this model has {len(site_names)} sites; nearest: {nearest(rule.selector, site_names)}\n"
        "  to list them all: dropsmith.sites(model, batch)" + hint
    )


def nearest(selector: Selector, names: Sequence[str]) -> str:
    """The names that a selector may have been meant for, as one line."""
    near = get_close_matches(selector.name.replace("*", "0"), names, n=4, cutoff=0.4)
    return ", ".join(near or names[:4]) or "none"


def _room(site: Site) -> str:
    # An embedding is one name for two sites: its rows by word, and its output.
    return "words" if site.kind == "words" else "tensor"
