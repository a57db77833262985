"""The rule that applies at each site, and the error for a rule that selects none."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from dropsmith.errors import SiteError
from dropsmith.patterns import Pattern, TorchDropout
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


def no_site(index: int, rule: Rule, sites: Sequence[Site], hint: str = "") -> SiteError:
    """The error for a rule that means no site, with the nearest names and what else may help."""
    site_names = list(dict.fromkeys(site.name for site in sites))
    matches = [site for site in sites if rule.selector.matches(site)]
    if matches:
        possible = [site.name for site in sites if rule.pattern_fits(site)]
        return SiteError(
            f"rule {index + 1} of the plan has a pattern that cannot go on its sites\n"
            f"  rule: {rule!r}\n"
            f"  {type(rule.pattern).__name__} goes on {_places(rule.pattern)}; "
            f"{matches[0].name!r} is of kind {matches[0].kind!r}\n"
            f"  nearest where it can go: {nearest(rule.selector, possible)}" + hint
        )
    return SiteError(
        f"rule {index + 1} of the plan matched no site\n  rule: {rule!r}\n"
        f"  this model has {len(site_names)} sites; nearest: {nearest(rule.selector, site_names)}\n"
        "  to list them all: dropsmith.sites(model, batch)" + hint
    )


def _places(pattern: Pattern) -> str:
    """The sites that a pattern is for, in words."""
    if isinstance(pattern, TorchDropout):
        return "noise that the model has already, such as nn.Dropout"
    return {
        "activations": "tensors that modules take or return",
        "weights": "weights, named as parameters are",
        "words": "the rows of embeddings",
    }[pattern.goes_on]


def nearest(selector: Selector, names: Sequence[str]) -> str:
    """The names that a selector may have been meant for, as one line."""
    near = get_close_matches(selector.name.replace("*", "0"), names, n=4, cutoff=0.4)
    return ", ".join(near or names[:4]) or "none"


def _room(site: Site) -> str:
    # An embedding is one name for two sites: its rows by word, and its output.
    return "words" if site.kind == "words" else "tensor"
