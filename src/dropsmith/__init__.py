"""Dropout you can plan, prove, share between passes, learn and predict with."""

from dropsmith._version import __version__
from dropsmith.errors import DropsmithError
from dropsmith.patterns import (
    Bernoulli,
    Blocks,
    ByDepth,
    Cyclic,
    Early,
    Gaussian,
    Late,
    Linear,
    Native,
    Off,
    Path,
    Pattern,
    Weights,
    Words,
)
from dropsmith.sites import Plan, Rule, Site, noise_of, plan_of, rule, select, sites, step
from dropsmith.views import Audit, Views, audit, views

__all__ = [
    "Audit",
    "Bernoulli",
    "Blocks",
    "ByDepth",
    "Cyclic",
    "DropsmithError",
    "Early",
    "Gaussian",
    "Late",
    "Linear",
    "Native",
    "Off",
    "Path",
    "Pattern",
    "Plan",
    "Rule",
    "Site",
    "Views",
    "Weights",
    "Words",
    "__version__",
    "audit",
    "noise_of",
    "plan_of",
    "rule",
    "select",
    "sites",
    "step",
    "views",
]
