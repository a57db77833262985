"""Where noise is: finding sites, naming them, and putting a plan on them."""

from dropsmith.sites.find import sites
from dropsmith.sites.layer import Layer, Reads
from dropsmith.sites.noise import Noise
from dropsmith.sites.noise_of import find_noise, noise_of, step
from dropsmith.sites.plan import Plan, plan_of
from dropsmith.sites.reading import reading
from dropsmith.sites.rule import Rule, rule
from dropsmith.sites.select import Selector, select
from dropsmith.sites.site import KINDS, Kind, Site
from dropsmith.sites.source import learned, records_of
from dropsmith.sites.taps import Taps, taps
from dropsmith.sites.this_pass import Pass

__all__ = [
    "KINDS",
    "Kind",
    "Layer",
    "Noise",
    "Pass",
    "Plan",
    "Reads",
    "Rule",
    "Selector",
    "Site",
    "Taps",
    "find_noise",
    "learned",
    "noise_of",
    "plan_of",
    "reading",
    "records_of",
    "rule",
    "select",
    "sites",
    "step",
    "taps",
]
