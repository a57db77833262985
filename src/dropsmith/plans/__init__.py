"""Plans: which sites drop, and what is dropped there, as values."""

from dropsmith.plans.assignment import Assignment, assign, nearest, no_site, rules_without_sites
from dropsmith.plans.axis_names import confirm_names, names_of
from dropsmith.plans.glob import glob_matches
from dropsmith.plans.library import learned_plans, records_of
from dropsmith.plans.plan import Plan, check_plan
from dropsmith.plans.rule import Rule, Sharing, rule, rule_from_json
from dropsmith.plans.selector import Selector, number_in, select
from dropsmith.plans.site import KINDS, ROOT, Kind, Site, call_name, display_name

__all__ = [
    "KINDS",
    "ROOT",
    "Assignment",
    "Kind",
    "Plan",
    "Rule",
    "Selector",
    "Sharing",
    "Site",
    "assign",
    "call_name",
    "check_plan",
    "confirm_names",
    "display_name",
    "glob_matches",
    "learned_plans",
    "names_of",
    "nearest",
    "no_site",
    "number_in",
    "records_of",
    "rule",
    "rule_from_json",
    "rules_without_sites",
    "select",
]
