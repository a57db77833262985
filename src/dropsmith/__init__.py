"""Dropout you can plan, prove, share between passes, learn and predict with."""

from dropsmith import recurrent
from dropsmith._version import __version__
from dropsmith.activations import taps
from dropsmith.consistency import consistent, restore, terms_of
from dropsmith.errors import DropsmithError
from dropsmith.noise import noise_of, plan_of, sites, step
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
from dropsmith.passes import Audit, Views, audit, views
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
from dropsmith.plans import Plan, Rule, Site, rule, select
from dropsmith.prediction import Prediction, predict
from dropsmith.record import Record

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
