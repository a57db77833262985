"""Dropout you can plan, prove, share between passes, learn and predict with."""

from dropsmith import recurrent
from dropsmith._version import __version__
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.errors import DropsmithError
from dropsmith.objectives import (
    ExpectationLinear,
    Fraternal,
    LRDrop,
    Objective,
    PiModel,
    RDrop,
    TaskLoss,
    TwoSample,
)
from dropsmith.pattern_search import search, spaces
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
    Spans,
    Tiles,
    Weights,
    Words,
)
from dropsmith.predict import Prediction, predict
from dropsmith.record import Record
from dropsmith.sites import Plan, Rule, Site, noise_of, plan_of, rule, select, sites, step, taps
from dropsmith.views import Audit, Views, audit, views

__all__ = [
    "Audit",
    "Bernoulli",
    "Blocks",
    "ByDepth",
    "Cyclic",
    "DropsmithError",
    "Early",
    "ExpectationLinear",
    "Fraternal",
    "Gaussian",
    "LRDrop",
    "Late",
    "Linear",
    "Native",
    "Objective",
    "Off",
    "Path",
    "Pattern",
    "PiModel",
    "Plan",
    "Prediction",
    "RDrop",
    "Record",
    "Rule",
    "Site",
    "Spans",
    "TaskLoss",
    "Tiles",
    "TwoSample",
    "Views",
    "Weights",
    "Words",
    "__version__",
    "audit",
    "consistent",
    "noise_of",
    "plan_of",
    "predict",
    "recurrent",
    "restore",
    "rule",
    "search",
    "select",
    "sites",
    "spaces",
    "step",
    "taps",
    "terms_of",
    "views",
]
